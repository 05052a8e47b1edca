import json

import pytest

from mbv3zoo.prediction.rows_file import RowsFile


def test_it_is_a_list_after_every_row(tmp_path):
    path = tmp_path / 'rows.json'
    rows = [{'path': 'a.jpg'}, {'path': '猫'}, {}, {'path': '\udcff\n"'}]
    with RowsFile(path) as file:
        assert json.loads(path.read_bytes()) == []
        for count, row in enumerate(rows, 1):
            file.add(row)
            assert json.loads(path.read_bytes().decode('utf-8')) == rows[:count] and file.count == count
    assert '猫' in path.read_text(encoding='utf-8') and '"\\\\udcff' not in path.read_text(encoding='utf-8')


def test_nothing_is_written_over(tmp_path):
    (tmp_path / 'rows.json').write_text('mine')
    with pytest.raises(FileExistsError, match='rows.json'):
        RowsFile(tmp_path / 'rows.json')


class Disk:
    """A file that takes so many more bytes, and then raises."""

    def __init__(self, file, free, error):
        self.file, self.size, self.error = file, free, error

    def __getattr__(self, name):
        return getattr(self.file, name)

    def write(self, data):
        room = self.size - self.file.tell()
        if room <= 0:
            raise self.error
        return self.file.write(data[:room])


@pytest.mark.parametrize('first', [True, False])
@pytest.mark.parametrize('error', [OSError(28, 'No space left on device'), KeyboardInterrupt()])
def test_a_row_that_does_not_fit_leaves_those_before(tmp_path, first, error):
    path = tmp_path / 'rows.json'
    with RowsFile(path) as file:
        before = [] if first else [{'a': 1}]
        for row in before:
            file.add(row)
        file._file = Disk(file._file, path.stat().st_size + 5, error)
        with pytest.raises(type(error)) as caught:
            file.add({'b': 'x' * 100})
        assert json.loads(path.read_bytes()) == before and file.count == len(before)
        if isinstance(error, OSError):
            assert 'could not write rows.json in the folder' in str(caught.value) and caught.value.errno == 28
        file._file.size = 1000
        file.add({'c': 2})
        assert json.loads(path.read_bytes()) == [*before, {'c': 2}]


def test_a_disk_that_is_full_from_the_start_is_told_with_the_file(tmp_path, monkeypatch):
    def full(*arguments, **options):
        return Disk(open(*arguments, **options), 0, OSError(28, 'No space left on device'))

    monkeypatch.setattr('mbv3zoo.prediction.rows_file.open', full, raising=False)
    with pytest.raises(OSError, match=r'could not write rows\.json in the folder .*: the disk is full'):
        RowsFile(tmp_path / 'rows.json')
    assert not list(tmp_path.iterdir())
