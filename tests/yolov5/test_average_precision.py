"""YOLOv5's average precision of the same detections against its own figures; see README.md for the cases."""

from pathlib import Path

import numpy as np
import pytest
from labelled import as_set, found, record

from mbv3zoo.evaluation.yolov5_ap import yolov5_ap

CASES = Path(__file__).with_name('cases')


@pytest.mark.parametrize('name', ['good', 'poor'])
def test_equals_the_frozen_figures(name):
    case = np.load(CASES / f'ap_{name}.npz')
    labels, rows = case['labels'], case['detections']
    pictures = range(int(max(labels[:, 0].max(), rows[:, 0].max())) + 1)
    records, detections = [], []
    for i in pictures:
        known, here = labels[labels[:, 0] == i], rows[rows[:, 0] == i]
        records.append(record(i, known[:, 1:5].tolist(), known[:, 5].astype(int).tolist()))
        detections.append(found(here[:, 1:5].tolist(), here[:, 5].tolist(), here[:, 6].astype(int).tolist()))
    figures = yolov5_ap(as_set(*records), detections)
    assert figures.ap50 == pytest.approx(float(case['ap50']), abs=1e-6)
    assert figures.ap == pytest.approx(float(case['ap']), abs=1e-6)
