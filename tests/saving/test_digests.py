import pytest

from mbv3zoo.saving.digests import check_mark, head_metadata, read_digests
from mbv3zoo.saving.weights_file import NotTogether, weights_bytes
from mbv3zoo.utils.files import file_digest

NAMES = ('model.safetensors', 'detector.safetensors')


@pytest.mark.parametrize('entry', [{}, {NAMES[0]: '0' * 64}, dict.fromkeys(NAMES, 'a1' * 32)])
def test_digests_of_some_or_all_files_are_read(entry):
    assert read_digests({'sha256': entry}, NAMES, 'here') == entry
    assert read_digests({}, NAMES, 'here') is None


@pytest.mark.parametrize(
    'entry',
    [None, [], 'a1' * 32, 5, {'README.md': 'a1' * 32}, {NAMES[0]: 5}, {NAMES[0]: None}, {NAMES[1]: 'A1' * 32},
     {NAMES[0]: 'a1' * 31}, {NAMES[0]: 'a1' * 32 + '\n'}, {NAMES[0]: ['a1' * 32]}],
)  # fmt: skip
def test_an_entry_of_another_form_is_told(entry):
    with pytest.raises(ValueError, match="here: the entry 'sha256' is .* expected some of model.safetensors, .*remove"):
        read_digests({'sha256': entry}, NAMES, 'here')


def test_without_digests_a_mark_tells_files_of_two_saves_apart(tmp_path):
    backbone, head = (tmp_path / name for name in NAMES)
    backbone.write_bytes(weights_bytes({}, {}))
    # Before config.json had digests, the mark stood alone.
    for mark in (file_digest(backbone), 'another'):
        head.write_bytes(weights_bytes({}, {'backbone_sha256': mark}))
        if mark == 'another':
            with pytest.raises(NotTogether, match='two different saves. Save again. .*exchanged on purpose'):
                check_mark(backbone, head, 'Save again.')
        else:
            check_mark(backbone, head, '')
    # Beside digests, which were removed since, and in a file that others wrote, it says nothing.
    for metadata in (head_metadata('another'), {}):
        head.write_bytes(weights_bytes({}, metadata))
        check_mark(backbone, head, '')
