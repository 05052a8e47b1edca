import math

import numpy as np
import pytest
import torch
from labelled import NAMES, as_set, found, random_pictures, record

from mbv3zoo.evaluation.yolov5_ap import yolov5_ap


def iou(a, b):
    shared = max(min(a[2], b[2]) - max(a[0], b[0]), 0) * max(min(a[3], b[3]) - max(a[1], b[1]), 0)
    return shared / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared)


def slow_ap(data, detections, label, thresh):
    """One class at one IoU, in plain loops: a detection may claim its nearest object only, the best is first."""
    rows, objects = [], 0
    for known, result in zip(data.records, detections, strict=True):
        boxes = [b for b, own in zip(known.boxes.tolist(), known.labels.tolist(), strict=True) if own == label]
        objects += len(boxes)
        here = zip(result.scores.tolist(), result.boxes.tolist(), result.labels.tolist(), strict=True)
        taken = set()
        for value, box in sorted(((v, b) for v, b, own in here if own == label), reverse=True):
            ious = [iou(box, other) for other in boxes]
            nearest = ious.index(max(ious)) if ious else None
            claim = nearest is not None and ious[nearest] >= thresh
            rows.append((value, claim and nearest not in taken))
            if claim:
                taken.add(nearest)
    if not objects:
        return math.nan
    hits, points = 0, [(0.0, 1.0)]
    for number, (_, hit) in enumerate(sorted(rows, reverse=True), 1):
        hits += hit
        points.append((hits / objects, hits / number))
    points.append((1.0, 0.0))
    recall = [point[0] for point in points]
    best = [max(point[1] for point in points[i:]) for i in range(len(points))]
    heights = [float(np.interp(r / 100, recall, best)) for r in range(101)] if rows else [0.0] * 101
    return sum((low + high) / 200 for low, high in zip(heights, heights[1:], strict=False))


@pytest.mark.parametrize('seed', [0, 1, 2])
def test_equals_plain_loops(seed):
    data, detections = random_pictures(seed, crowds=False)
    values = [
        [slow_ap(data, detections, label, thresh) for label in range(len(NAMES))]
        for thresh in torch.linspace(0.5, 0.95, 10).tolist()
    ]
    figures = yolov5_ap(data, detections)
    assert 0.1 < figures.ap < 0.9
    assert figures.ap50 == pytest.approx(np.nanmean(values[0]), abs=1e-6)
    assert figures.ap == pytest.approx(np.nanmean(values), abs=1e-6)


def test_perfect_and_missing():
    boxes = [[0, 0, 50, 50], [60, 0, 110, 50]]
    # Precision falls to 0 at recall 1, on the last of 100 pieces, although nothing is wrong.
    perfect = yolov5_ap(as_set(record(0, boxes)), [found(boxes, [0.9, 0.8])])
    assert perfect == pytest.approx((0.995, 0.995))
    assert yolov5_ap(as_set(record(0, boxes)), [found()]) == (0, 0)
    # A class without objects does not count; one without detections does.
    both = as_set(record(0, boxes, [0, 2]))
    assert yolov5_ap(both, [found(boxes, [0.9, 0.8], [0, 1])]) == pytest.approx((0.4975, 0.4975))


def test_no_objects():
    for data, detections in ((as_set(), []), (as_set(record(0)), [found([[0, 0, 9, 9]], [0.5])])):
        assert all(math.isnan(figure) for figure in yolov5_ap(data, detections))
    crowd = as_set(record(0, [[0, 0, 9, 9]], crowd=[True]))
    assert all(math.isnan(figure) for figure in yolov5_ap(crowd, [found([[0, 0, 9, 9]], [0.5])]))


def test_one_entry_a_record():
    with pytest.raises(ValueError, match='2 pictures for a set of 1'):
        yolov5_ap(as_set(record(0)), [found(), found()])
