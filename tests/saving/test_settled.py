import pytest

from mbv3zoo.saving import settled as module
from mbv3zoo.saving.settled import settled
from mbv3zoo.saving.weights_file import NotTogether


@pytest.fixture
def file(tmp_path):
    path = tmp_path / 'file'
    path.write_text('old')
    return path


def test_files_that_nobody_replaces_are_read_once(file, monkeypatch):
    waits, reads = [], []
    monkeypatch.setattr(module.time, 'sleep', waits.append)

    def read(files):
        reads.append(files)
        raise NotTogether('they differ')

    with pytest.raises(ValueError, match='they differ') as caught:
        settled(lambda: {'file': file}, read)
    assert type(caught.value) is ValueError and isinstance(caught.value.__cause__, NotTogether)
    assert len(reads) == 1 and 0 < sum(waits) < 1


@pytest.mark.parametrize('changes', [1, 3, 1000])
def test_files_that_are_replaced_are_read_again_but_not_for_ever(file, monkeypatch, changes):
    reads = []
    monkeypatch.setattr(module.time, 'sleep', lambda seconds: file.write_text('new' * (len(reads) + 1)))

    def read(files):
        reads.append(files)
        if len(reads) <= changes:
            raise NotTogether('they differ')
        return 'whole'

    if changes == 1000:
        with pytest.raises(ValueError, match='they differ'):
            settled(lambda: {'file': file}, read)
        assert len(reads) < 20
    else:
        assert settled(lambda: {'file': file}, read) == 'whole' and len(reads) == changes + 1


def test_a_file_that_is_moved_between_finding_and_reading_is_found_again(file, tmp_path):
    places = [tmp_path / 'gone', file]
    assert settled(lambda: {'file': places.pop(0)}, lambda files: files['file'].read_text()) == 'old'
    with pytest.raises(FileNotFoundError):
        settled(lambda: {'file': tmp_path / 'gone'}, lambda files: files['file'].read_text())
