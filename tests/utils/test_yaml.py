"""What a file of settings may be; every file goes through here, so a test of it stands for all of them."""

import pytest

from mbv3zoo.utils.yaml import read_mapping


@pytest.fixture
def write(tmp_path):
    """A function from a text to a file that holds it."""

    def written(text):
        (tmp_path / 'my.yaml').write_text(text, encoding='utf-8')
        return tmp_path / 'my.yaml'

    return written


def test_plain_values_and_aliases_come_as_they_stand(write):
    text = 'a: &shared [1, 2.5, null, true]\nb: {c: *shared}\n3: "1 + 1"\n'
    assert read_mapping(write(text)) == {'a': [1, 2.5, None, True], 'b': {'c': [1, 2.5, None, True]}, 3: '1 + 1'}


# Each list stands for eight of the one before it.
LAUGHS = (
    '[&a [1], '
    + ', '.join(f'&{new} [{", ".join([f"*{old}"] * 8)}]' for old, new in zip('abcdefg', 'bcdefgh', strict=False))
    + ']'
)


@pytest.mark.parametrize(
    'args',
    [
        "[&a [*a]]",
        '[' * 3000 + ']' * 3000,
        '[' + '[' * 60 + '1' + ']' * 60 + ']',
        LAUGHS,
    ],
    ids=['itself', 'deep', 'nested', 'laughs'],
)  # fmt: skip
def test_files_that_repeat_or_nest_without_end(write, args):
    with pytest.raises(ValueError, match='my.yaml: (not a YAML file|its lists and mappings)'):
        read_mapping(write(f'backbone: [[-1, 3, C3, {args}]]'))


def test_a_file_far_larger_than_any_settings(write):
    with pytest.raises(ValueError, match='my.yaml: has [0-9]+ bytes, expected at most'):
        read_mapping(write('# ' + 'a' * 2**22))
