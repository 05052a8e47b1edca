"""mIoU and its parts, compared with scikit-learn's."""

import math

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, confusion_matrix, jaccard_score

from mbv3zoo.evaluation.masks import SegmentationMetrics, count_pixels, score_masks

NAMES = ('a', 'b', 'c', 'd', 'e')


def test_figures_are_those_of_scikit_learn():
    rng = np.random.default_rng(0)
    pairs = [(rng.integers(0, 4, (20, 30), np.uint8), rng.integers(0, 4, (20, 30), np.uint8)) for _ in range(3)]
    pairs[0][0][:5] = 255
    counts = sum(count_pixels(truth, predicted, 5) for truth, predicted in pairs)
    truth, predicted = (np.concatenate([pair[i].ravel() for pair in pairs]) for i in (0, 1))
    predicted, truth = predicted[truth != 255], truth[truth != 255]
    assert np.array_equal(counts, confusion_matrix(truth, predicted, labels=range(5)))
    found = score_masks(counts, NAMES, 3)
    ious = jaccard_score(truth, predicted, labels=range(4), average=None)
    assert [*found.per_class.values()][:4] == pytest.approx(ious.tolist()) and math.isnan(found.per_class['e'])
    assert found.miou == found.score == pytest.approx(ious.mean())
    assert found.pixel_accuracy == pytest.approx(accuracy_score(truth, predicted))
    assert (found.images, found.pixels) == (3, len(truth)) and set(found.figures()) == {'miou', 'pixel_accuracy'}


def test_a_class_that_is_predicted_alone_counts_and_nothing_at_all_has_no_figures():
    found = score_masks(count_pixels(np.zeros((1, 4), np.uint8), np.array([[0, 0, 0, 1]], np.uint8), 3), NAMES[:3], 1)
    assert found.per_class['a'] == 0.75 and found.per_class['b'] == 0 and found.miou == 0.375
    empty = score_masks(count_pixels(np.full((2, 2), 255, np.uint8), np.zeros((2, 2), np.uint8), 3), NAMES[:3], 1)
    assert math.isnan(empty.miou) and math.isnan(empty.pixel_accuracy) and empty.pixels == 0
    again = SegmentationMetrics.from_dict(empty.to_dict())
    assert str(again) == str(empty) and '-' in str(empty) and empty.to_dict()['miou'] is None
