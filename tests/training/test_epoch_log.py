import csv
import math

from mbv3zoo.evaluation.metrics import Metrics
from mbv3zoo.training.epoch_log import EpochLog

VALUES = {'seconds': 12.345, 'waiting': 0.1234, 'lr': 0.0012345, 'box': 0.123456, 'objectness': 1.0, 'classes': 0.0}
FIGURES = ('ap', 'ap50', 'ap75', 'ap_small', 'ap_medium', 'ap_large')
METRICS = Metrics(
    ap=0.25, ap50=0.5, ap75=0.125, ap_small=math.nan, ap_medium=0.1, ap_large=0.2, per_class={'square': 0.25}, images=4,
    objects=10,
)  # fmt: skip


def rows(run):
    with open(run / 'results.csv', newline='') as file:
        return list(csv.DictReader(file))


def test_a_line_has_the_values_and_where_there_are_any_the_figures(tmp_path, capsys):
    log = EpochLog(tmp_path, epochs=3)
    log.write(1, VALUES, None)
    log.write(2, VALUES, METRICS)
    first, second = rows(tmp_path)
    values = {
        'seconds': '12.3', 'waiting': '0.123', 'lr': '0.001234', 'box': '0.12346', 'objectness': '1.00000',
        'classes': '0.00000',
    }  # fmt: skip
    assert first == {'epoch': '1', **values, **dict.fromkeys(FIGURES, '')}
    figures = {'ap': '0.2500', 'ap50': '0.5000', 'ap75': '0.1250', 'ap_small': 'nan', 'ap_medium': '0.1000'}
    assert second == {'epoch': '2', **values, **figures, 'ap_large': '0.2000'}
    shown = capsys.readouterr().out
    assert shown.splitlines() == [
        'epoch          box    class objectness        lr     AP   AP50  time left    memory',
        '1/3         0.1235   0.0000     1.0000  0.001234      -      -          -         -',
        '2/3         0.1235   0.0000     1.0000  0.001234 0.2500 0.5000          -         -',
    ]


def test_lines_stay_in_their_columns_below_a_line_of_titles_now_and_then(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr('mbv3zoo.training.epoch_log.write_epoch', lambda path, row: None)
    monkeypatch.setattr('mbv3zoo.plots.curves.plot_curves', lambda csv, path: None)
    log = EpochLog(tmp_path, epochs=1000)
    for epoch in range(961, 1001):
        log.write(epoch, VALUES | {'box': 123.4, 'lr': 0.1}, METRICS, left=36_000 * (1000 - epoch) / 39, memory=123.4e9)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 42 and lines[0] == lines[21] and lines[0].startswith('epoch')
    assert len({len(line) for line in lines}) == 1 and len(lines[0]) <= 100
    assert '10:00:00' in lines[1] and '123.40 GB' in lines[1] and '15:23' in lines[41 - 1] and '0:00' in lines[-1]


def test_curves_are_drawn_at_first_and_last_and_not_after_each_short_epoch(tmp_path):
    log, picture = EpochLog(tmp_path, epochs=3), tmp_path / 'results.png'
    drawn = []
    for epoch in (1, 2, 3):
        log.write(epoch, VALUES, METRICS)
        drawn.append(picture.exists())
        picture.unlink(missing_ok=True)
    assert drawn == [True, False, True]


def test_a_tracker_gets_the_numbers_that_there_are_unrounded(tmp_path):
    tracked = []
    log = EpochLog(tmp_path, 2, lambda values, epoch: tracked.append((epoch, values)))
    log.write(1, VALUES, METRICS)
    log.write(2, VALUES, None)
    figures = {'ap': 0.25, 'ap50': 0.5, 'ap75': 0.125, 'ap_medium': 0.1, 'ap_large': 0.2}
    assert tracked == [(1, VALUES | figures), (2, VALUES)]
