import math

import numpy as np
import pytest
import torch
from labelled import NAMES, as_found, as_set, found, random_pictures, record

from mbv3zoo.evaluation.coco import score
from mbv3zoo.evaluation.f1 import as_predicted, f1_curve


def test_as_predicted():
    box, near, apart, other = ([0, 0, 100, height] for height in (100, 60, 40, 59))
    result = found([box, box, near, apart, other, box], [0.9, 0.8, 0.7, 0.6, 0.5, 0.2], [0, 1, 0, 0, 1, 2])
    # The second guess for a box, what overlaps with its own class, and what is not sure, go.
    kept = as_predicted(result)
    assert [round(value, 2) for value in kept.scores.tolist()] == [0.9, 0.6, 0.5] and kept.labels.tolist() == [0, 0, 1]
    assert len(as_predicted(result, 0.95)) == 0 and len(as_predicted(found())) == 0
    assert as_predicted(kept).scores.tolist() == kept.scores.tolist()


def test_as_predicted_whatever_the_label():
    generator = torch.Generator().manual_seed(0)
    corner = torch.rand(100, 2, generator=generator) * 200
    boxes = torch.cat([corner, corner + 40 + torch.rand(100, 2, generator=generator) * 40], 1)
    names = tuple(map(str, range(65536)))
    kept = []
    for label in (0, 79, 7999, 65535):
        own = found(boxes.tolist(), torch.linspace(1, 0.5, 100).tolist(), [label] * 100, names=names)
        kept.append(as_predicted(own).scores.tolist())
    assert 20 < len(kept[0]) < 100 and kept.count(kept[0]) == 4


def plain_iou(box, other, crowd=False):
    width, height = (min(box[i + 2], other[i + 2]) - max(box[i], other[i]) for i in (0, 1))
    if width <= 0 or height <= 0:
        return 0
    area, second = ((b[2] - b[0]) * (b[3] - b[1]) for b in (box, other))
    return width * height / (area if crowd else area + second - width * height)


def plain_counts(data, detections, label, thresh):
    """TP, FP and FN of one class at one threshold, from what predict would give there, each detection by itself."""
    hit = false = missed = 0
    for known, result in zip(data.records, detections, strict=True):
        kept = as_predicted(result[result.scores > thresh], 0)
        own = sorted(zip(kept.scores.tolist(), kept.boxes.tolist(), kept.labels.tolist(), strict=True), reverse=True)
        rows = list(zip(known.boxes.tolist(), known.labels.tolist(), known.iscrowd.tolist(), strict=True))
        free = [box for box, truth, crowd in rows if truth == label and not crowd]
        crowds = [box for box, truth, crowd in rows if truth == label and crowd]
        for _, box, guess in own:
            if guess != label:
                continue
            best = max(free, key=lambda other: plain_iou(box, other), default=None)
            if best is not None and plain_iou(box, best) >= 0.5:
                free.remove(best)
                hit += 1
            elif not any(plain_iou(box, crowd, True) >= 0.5 for crowd in crowds):
                false += 1
        missed += len(free)
    return hit, false, missed


@pytest.mark.parametrize('seed', [0, 1, 2])
def test_equals_a_plain_implementation(seed):
    data, detections = random_pictures(seed)
    curve = f1_curve(data, detections)
    for step in (0, 5, 31, 60, 90, 100):
        for label in range(2):
            hit, false, missed = plain_counts(data, detections, label, step / 100)
            expected = hit / (hit + false) if hit + false else math.nan, hit / (hit + missed)
            given = curve.precision[label, step], curve.recall[label, step]
            assert given == pytest.approx(expected, nan_ok=True)
            assert curve.f1[label, step] == pytest.approx(2 * hit / (2 * hit + false + missed))
    assert np.isnan(curve.f1[2]).all() and np.isnan(curve.precision[2]).all()
    best, thresh = curve.best
    assert best == pytest.approx(np.nanmean(curve.f1, 0).max()) == pytest.approx(curve.mean[round(thresh * 100)])
    metrics = score(data, detections).metrics
    assert (metrics.best_f1, metrics.best_threshold) == (best, thresh) and 0 < best < 1


def test_predict_at_the_threshold_has_that_f1_where_a_box_is_reported_under_two_classes():
    known = record(1, [[10, 10, 60, 60]])
    twice = found([[10, 10, 60, 60]] * 2, [0.75, 0.5], [0, 1])
    curve = f1_curve(as_set(known), [twice])
    assert curve.best == (1, 0.37) and curve.precision[0, 0] == 1


def test_the_threshold_is_the_middle_of_the_best_ones_and_separates_right_from_wrong():
    records = [record(1, [[10, 10, 60, 60]]), record(2)]
    detections = [found([[10, 10, 60, 60]], [0.8], [0]), found([[0, 0, 9, 9]], [0.4], [0])]
    best, thresh = f1_curve(as_set(*records), detections).best
    # Those from 0.40, at which the wrong one is left out, to 0.79.
    assert best == 1 and thresh == pytest.approx(0.59, abs=0.011)
    sure = f1_curve(as_set(records[0]), [as_found(records[0], 1.0)])
    assert sure.best == (1, 0.49) and sure.f1[0, 100] == 0


def test_nothing_to_find_and_nothing_found():
    for data, detections in ((as_set(), []), (as_set(record(1)), [found([[0, 0, 9, 9]], [0.9])])):
        curve = f1_curve(data, detections)
        assert all(map(math.isnan, curve.best)) and curve.f1.shape == (len(NAMES), 101)
    curve = f1_curve(as_set(record(1, [[1, 1, 9, 9]])), [found()])
    assert curve.best[0] == 0 and math.isnan(curve.best[1]) and torch.tensor(curve.recall[0]).eq(0).all()


def test_a_detection_in_a_crowd_of_its_class_is_not_counted():
    known = record(1, [[10, 10, 60, 60], [100, 100, 200, 200]], crowd=[False, True])
    inside = found([[10, 10, 60, 60], [110, 110, 150, 150]], [0.9, 0.8])
    assert f1_curve(as_set(known), [inside]).best[0] == 1
