import csv

import pytest

from mbv3zoo.training.results import read_epochs, write_epoch


def row(epoch, **values):
    return {'epoch': str(epoch), 'box': '0.5', 'AP': '', **values}


def test_one_line_an_epoch(tmp_path):
    path = tmp_path / 'results.csv'
    assert read_epochs(path) == []
    for epoch in (1, 2, 3):
        write_epoch(path, row(epoch, AP=f'0.{epoch}'))
    assert path.read_bytes() == b'epoch,box,AP\n1,0.5,0.1\n2,0.5,0.2\n3,0.5,0.3\n'
    assert read_epochs(path) == [row(epoch, AP=f'0.{epoch}') for epoch in (1, 2, 3)]
    # As a spreadsheet saves it again.
    path.write_bytes(b'\xef\xbb\xbf' + path.read_bytes())
    assert read_epochs(path) == [row(epoch, AP=f'0.{epoch}') for epoch in (1, 2, 3)]
    assert [p.name for p in tmp_path.iterdir()] == ['results.csv']


def test_what_a_lost_run_left_goes(tmp_path):
    path = tmp_path / 'results.csv'
    for epoch in range(1, 13):
        write_epoch(path, row(epoch))
    write_epoch(path, row(9, box='0.1'))
    assert read_epochs(path) == [*(row(epoch) for epoch in range(1, 9)), row(9, box='0.1')]
    # The same epoch again replaces its line; epochs are numbers, not texts.
    write_epoch(path, row(9, box='0.2'))
    write_epoch(path, row(10))
    assert [r['epoch'] for r in read_epochs(path)] == [str(e) for e in range(1, 11)]
    assert read_epochs(path)[8]['box'] == '0.2'
    write_epoch(path, row(1))
    assert read_epochs(path) == [row(1)]


def test_columns_may_come_and_go(tmp_path):
    path = tmp_path / 'results.csv'
    write_epoch(path, {'epoch': '1', 'old': 'a', 'AP': '0.1'})
    write_epoch(path, {'epoch': '2', 'AP': '0.2', 'new': 'b'})
    write_epoch(path, {'epoch': '3', 'AP': '0.3', 'new': 'c'})
    assert read_epochs(path) == [
        {'epoch': '1', 'AP': '0.1', 'new': '', 'old': 'a'},
        {'epoch': '2', 'AP': '0.2', 'new': 'b', 'old': ''},
        {'epoch': '3', 'AP': '0.3', 'new': 'c', 'old': ''},
    ]


def test_values_that_csv_must_quote(tmp_path):
    path = tmp_path / 'results.csv'
    values = {'a,b': 'x,y', 'quote': 'say "größe"', 'line': 'one\ntwo', 'number': 'nan'}
    write_epoch(path, row(1, **values))
    write_epoch(path, row(2))
    assert read_epochs(path) == [row(1, **values), row(2) | dict.fromkeys(values, '')]
    with open(path, newline='', encoding='utf-8') as file:
        assert len(list(csv.reader(file))) == 3


def test_a_file_that_cannot_be_written_leaves_the_old_one(tmp_path, monkeypatch):
    path = tmp_path / 'results.csv'
    write_epoch(path, row(1))
    before = path.read_bytes()

    def fail(*args):
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr('os.replace', fail)
    with pytest.raises(OSError, match='results.csv'):
        write_epoch(path, row(2))
    assert path.read_bytes() == before and [p.name for p in tmp_path.iterdir()] == ['results.csv']


def test_an_empty_file_has_no_epochs(tmp_path):
    path = tmp_path / 'results.csv'
    path.touch()
    assert read_epochs(path) == []
    write_epoch(path, row(1))
    assert read_epochs(path) == [row(1)]
