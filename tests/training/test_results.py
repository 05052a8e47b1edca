import csv
import math

import pytest

from mbv3zoo.evaluation.metrics import Metrics
from mbv3zoo.plots.report import write_metrics
from mbv3zoo.training.results import METRICS_NAME, read_epochs, read_metrics, write_epoch


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


GOOD = b'epoch,box\n1,0.5\n2,0.4\n'


@pytest.mark.parametrize(
    ('content', 'fault', 'kept'),
    [
        (bytes(range(256)), 'cannot be read', 0),
        (GOOD.decode().encode('utf-16'), 'cannot be read', 0),
        (b'epoch,box\n1,\xe9\n', 'cannot be read', 0),
        (GOOD + b'3,\x00\n', 'cannot be read', 0),
        (b'1,0.5\n2,0.4\n', "has no column 'epoch'", 0),
        (b'box,AP\n0.5,0.1\n', "has no column 'epoch'", 0),
        (GOOD + b'3', 'has too many or too few values in line 4', 2),
        (GOOD + b'3,0.4,7\n', 'has too many or too few values in line 4', 2),
        (GOOD + b'three,0.4\n', 'has an epoch that is no number in line 4', 2),
        (GOOD + b'-3,0.4\n', 'has an epoch that is no number in line 4', 2),
        (GOOD + b',0.4\n', 'has an epoch that is no number in line 4', 2),
        (GOOD + b'2,0.3\n', 'has the epoch 2 a second time in line 4', 2),
        (b'epoch,box\n' + b'1,0.5\n' * 10**6, 'at most', 0),
        (None, 'cannot be read', 0),
    ],
)
def test_a_damaged_file_is_kept_beside_a_new_one(tmp_path, caplog, content, fault, kept):
    path = tmp_path / 'results.csv'
    if content is None:
        path.mkdir()
    else:
        path.write_bytes(content)
    with pytest.raises(ValueError, match=fault):
        read_epochs(path)
    write_epoch(path, row(9))
    assert [old['epoch'] for old in read_epochs(path)] == [*('1', '2')[:kept], '9']
    aside = tmp_path / 'results.csv.damaged-1'
    assert aside.is_dir() if content is None else aside.read_bytes() == content
    (message,) = [record.getMessage() for record in caplog.records]
    assert message.startswith(f'{path}: ') and fault in message
    assert message.endswith(f'kept as results.csv.damaged-1, and {kept} lines of it are taken over')
    write_epoch(path, row(10))
    assert len(caplog.records) == 1


def test_lines_in_another_order_are_no_damage(tmp_path):
    path = tmp_path / 'results.csv'
    path.write_bytes(b'epoch,box\r\n2,0.4\r\n1,0.5\r\n\r\n')
    assert [old['epoch'] for old in read_epochs(path)] == ['1', '2']


METRICS = Metrics(
    ap=0.25, ap50=0.5, ap75=0.125, ap_small=math.nan, ap_medium=0.1, ap_large=0.2, per_class={'square': math.nan},
    images=4, objects=10,
)  # fmt: skip


def test_metrics_come_back(tmp_path):
    assert read_metrics(tmp_path) is None
    (tmp_path / 'report').mkdir()
    write_metrics(METRICS, tmp_path / METRICS_NAME)
    assert read_metrics(tmp_path).to_dict() == METRICS.to_dict()


@pytest.mark.parametrize('content', [b'', b'{}', b'[]', b'null', b'{"ap": 1}', b'\xff\x00', b'[' * 10**5, b'cut'])
def test_damaged_metrics_are_none(tmp_path, content):
    (tmp_path / 'report').mkdir()
    write_metrics(METRICS, tmp_path / METRICS_NAME)
    path = tmp_path / METRICS_NAME
    path.write_bytes(path.read_bytes()[:100] if content == b'cut' else content)
    assert read_metrics(tmp_path) is None
    write_metrics(METRICS, path)
    path.write_text(path.read_text().replace('0.25', '"high"'))
    assert read_metrics(tmp_path) is None
