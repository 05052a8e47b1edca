import json
import math

import pytest
from labelled import NAMES, as_found, figures, random_pictures, record

from mbv3zoo.data.detection_set import DetectionSet
from mbv3zoo.evaluation.metrics import AP_NAMES, ClassMetrics, Metrics, format_table


def test_to_dict_is_plain():
    records = [record(1, [[10, 10, 30, 30]])]
    plain = figures(DetectionSet(records, NAMES), [as_found(records[0])]).to_dict()
    assert plain['ap'] == pytest.approx(1) and plain['ap_large'] is None
    assert plain['per_class']['cat'] == pytest.approx(1) and plain['per_class']['dog'] is None
    assert {type(value) for value in plain.values()} == {float, int, dict, list, type(None)}
    assert [row['name'] for row in plain['classes']] == list(NAMES)
    assert plain['classes'][0]['objects'] == 1 and plain['classes'][1]['ap'] is None
    assert json.loads(json.dumps(plain, allow_nan=False)) == plain


def test_metrics_are_read_again_from_plain_values():
    metrics = figures(*random_pictures(0))
    # A class without objects has no figures.
    assert math.isnan(metrics.per_class['owl'])
    plain = json.loads(json.dumps(metrics.to_dict()))
    again = Metrics.from_dict(plain)
    assert again.to_dict() == plain and again.ap == metrics.ap
    assert again.best_threshold == metrics.best_threshold and metrics.f1_curve.f1.shape == (3, 101)
    # What was written before there was a best F1.
    older = Metrics.from_dict({key: value for key, value in plain.items() if not key.startswith('best_')})
    assert math.isnan(older.best_f1) and older.ap == metrics.ap
    assert format_table(older).splitlines() == format_table(metrics).splitlines()[:-1]
    assert again.classes[0] == metrics.classes[0] and math.isnan(again.per_class['owl'])


def test_table():
    records = [record(1, [[10, 10, 30, 30], [50, 50, 110, 110], [0, 0, 9, 9]], [0, 1, 0], crowd=[False, False, True])]
    lines = format_table(figures(DetectionSet(records, NAMES), [as_found(records[0])[:2]])).splitlines()
    assert lines == [
        '1 pictures, 2 objects',
        'class     AP   AP50   AP75  small  medium  large  objects',
        'all    1.000  1.000  1.000  1.000   1.000      -        2',
        'cat    1.000  1.000  1.000  1.000       -      -        1',
        'dog    1.000  1.000  1.000      -   1.000      -        1',
        'owl        -      -      -      -       -      -        0',
        'best F1 1.000 (mean of the classes, IoU 0.5) at --score-thresh 0.44',
    ]
    # Figures of a card, without classes.
    assert len(format_table(Metrics(*[0.5] * 6, {}, 5, 9)).splitlines()) == 3


def test_metrics_are_read_by_names_and_do_not_change():
    metrics = Metrics(*[0.5] * 6, {}, 5, 9)
    assert [getattr(metrics, name) for name in AP_NAMES] == [0.5] * 6
    for change in (lambda: setattr(metrics, 'ap', 1.0), lambda: metrics[0], lambda: [*metrics]):
        with pytest.raises((AttributeError, TypeError)):
            change()


def test_the_order_of_what_is_written():
    """metrics.json keeps its lines in this order."""
    plain = Metrics(*[0.5] * 6, {}, 5, 9, classes=(ClassMetrics('cat', *[0.1] * 6, 9),)).to_dict()
    recalls = ['ar1', 'ar10', 'ar100', 'ar_small', 'ar_medium', 'ar_large']
    assert [*plain] == [*AP_NAMES, 'per_class', 'images', 'objects', *recalls, 'classes', 'best_f1', 'best_threshold']
    assert [*plain['classes'][0]] == ['name', *AP_NAMES, 'objects']


def test_metrics_are_a_line_in_a_notebook_and_a_table_where_they_are_printed():
    metrics = figures(*random_pictures(0))
    assert (
        repr(metrics) == f'Metrics(AP {metrics.ap:.3f}, AP50 {metrics.ap50:.3f}, 12 images, {metrics.objects} objects)'
    )
    assert str(metrics) == format_table(metrics)
