from mbv3zoo.utils.own_code import code_digest


def test_the_digest_is_of_the_rooms_that_are_named():
    digests = {code_digest('data'), code_digest('images'), code_digest('data', 'images')}
    assert len(digests) == 3 and all(len(digest) == 64 for digest in digests)
    assert code_digest('data') in digests and code_digest('images', 'data') == code_digest('data', 'images')
