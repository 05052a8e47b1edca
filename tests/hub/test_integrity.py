import hashlib

from huggingface_hub.hf_api import ModelInfo

from mbv3zoo.hub.integrity import Stated, find_fault, is_same, remove, stated_files

DATA = b'weights'
SHA256 = hashlib.sha256(DATA).hexdigest()
GIT = hashlib.sha1(b'blob %d\0' % len(DATA) + DATA).hexdigest()


def test_the_hub_states_one_hash_of_large_files_and_another_of_small_ones():
    large = {'rfilename': 'a', 'size': 7, 'blobId': GIT, 'lfs': {'sha256': SHA256, 'size': 7, 'pointerSize': 1}}
    small = {'rfilename': 'b', 'size': 7, 'blobId': GIT}
    assert stated_files(ModelInfo(id='org/name', siblings=[large, small])) == {
        'a': Stated(7, SHA256),
        'b': Stated(7, GIT),
    }
    assert stated_files(ModelInfo(id='org/name')) == {}


def test_a_file_is_checked_by_size_and_by_either_hash(tmp_path):
    path = tmp_path / 'file'
    path.write_bytes(DATA)
    for stated in (
        None,
        Stated(None, None),
        Stated(7, SHA256),
        Stated(7, GIT),
        Stated(7, hashlib.sha1(DATA).hexdigest()),
    ):
        assert find_fault(path, stated) is None
    assert find_fault(path, Stated(8, SHA256)) == 'it has 7 bytes, expected 8'
    assert SHA256 in find_fault(path, Stated(7, 'f' * 64)) and GIT in find_fault(path, Stated(7, 'f' * 40))


def test_a_cached_file_is_checked_by_the_name_of_its_blob(tmp_path):
    (tmp_path / SHA256).write_bytes(DATA)
    link = tmp_path / 'link'
    link.symlink_to(SHA256)
    assert find_fault(link) is None
    (tmp_path / SHA256).write_bytes(b'another')
    assert 'its hash is' in find_fault(link)
    remove(link)
    assert not list(tmp_path.iterdir())


def test_content_is_the_same_by_its_hash_alone(tmp_path):
    path = tmp_path / 'file'
    path.write_bytes(DATA)
    for content in (DATA, path):
        assert is_same(content, Stated(7, SHA256)) and is_same(content, Stated(None, GIT))
        assert not (
            is_same(content, None) or is_same(content, Stated(7, None)) or is_same(content, Stated(7, 'f' * 64))
        )
