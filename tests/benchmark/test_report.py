import pytest

from mbv3zoo.benchmark.report import Rows, describe_machine, format_rows, write_report
from mbv3zoo.benchmark.rows import Row
from mbv3zoo.version import __version__

GOOD = Row('small', 'eager', (320, 640), 2, 12.351, 12.0, 13.5, 162.01, 1.0, 0.25, 801.2, 2_120_000, 0.891)
FILE = Row('/peers/a.onnx', 'eager', (320, 320), 1, 8.0, 7.0, 9.0, 125.0, 0.648, 0.0)
BAD = Row('none', 'eager', None, 1, error='unknown detector')


def test_table():
    head, good, file, bad = (' '.join(line.split()) for line in format_rows([GOOD, FILE, BAD]).splitlines())
    assert good == 'small eager 320x640 2 12.35 12.00-13.50 1.000 162.0 25% 801 2.12 M 0.89'
    assert file == '/peers/a.onnx eager 320 1 8.00 7.00-9.00 0.648 125.0 0% - - -'
    assert bad == 'none eager - 1 - - - - - - - - unknown detector'
    assert head.endswith(' parameters GFLOPs error')


def test_columns_without_anything_are_left_out():
    text = format_rows([FILE])
    assert not {'error', 'parameters', 'GFLOPs', 'memory'} & {*text.split()} and 'relative' in text


def test_what_it_was_measured_on():
    text = describe_machine(2, 'mbv3zoo benchmark a --size 320')
    lines = dict(line.split(maxsplit=1) for line in text.splitlines())
    assert lines['command'] == 'mbv3zoo benchmark a --size 320' and lines['threads'] == '2'
    assert f'mbv3zoo {__version__}, torch ' in lines['versions'] and 'openvino ' in lines['versions']
    assert lines['CPU'].endswith(' cores') and 'Python 3' in lines['system']
    assert 'command' not in describe_machine() and 'own choice' in describe_machine()


def test_nothing_is_overwritten(tmp_path):
    (tmp_path / 'a').touch()
    with pytest.raises(ValueError, match='never overwritten'):
        write_report([GOOD], tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ['a']


def test_rows_are_printed_as_a_table():
    rows = Rows([Row('a', 'eager', (64, 64), 1, 2.0, 1.0, 3.0)])
    assert str(rows) == format_rows(rows) and rows[0].ms == 2.0
