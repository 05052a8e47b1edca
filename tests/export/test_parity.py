import numpy as np
import pytest
import torch
from exported_files import SCENE

import mbv3zoo
from mbv3zoo.export.live import open_live
from mbv3zoo.export.parity import _widest_gap, compare, compare_kept
from mbv3zoo.models.postprocess.thresholds import Thresholds

LOW = Thresholds(score_thresh=0.05)


@pytest.fixture(scope='module')
def detector():
    return mbv3zoo.create_detector('mbv3_yolo_small.synth', pretrained=True, image_size=(96, 160))


def test_the_same_network_in_another_runtime(detector):
    parity = compare(detector, open_live(detector, 'eager'), SCENE, LOW)
    assert parity.letterbox <= 1 and parity.logits_max < 1e-3 and parity.logits_relative < 1e-4
    assert parity.boxes_compared >= 4 and parity.kept >= 4
    assert parity.kept_apart == 0 and parity.kept_boxes_max < 0.5


def test_another_network(detector):
    live = open_live(detector, 'eager')
    with torch.no_grad():
        live.session.graph.head.convs[0].bias.add_(0.5)
    parity = compare(detector, live, SCENE, LOW)
    assert 0.1 < parity.logits_max < 0.6 and parity.logits_mean < parity.logits_max
    assert parity.boxes_max > 0.1


def test_nothing_to_see(detector):
    blank = np.zeros((50, 80, 3), np.uint8)
    parity = compare(detector, open_live(detector, 'eager'), blank, Thresholds(score_thresh=1))
    assert parity.size == (50, 80) and (parity.kept, parity.kept_apart, parity.kept_boxes_max) == (0, 0, 0)
    # Boxes are compared all the same.
    assert parity.boxes_compared > 0 and (parity.best, parity.best_again) == (100, 100)


def test_cells_without_an_object_are_compared_where_there_are_no_others(detector):
    new = mbv3zoo.create_detector('mbv3_yolo_small_050', num_classes=2, image_size=64).eval()
    with torch.no_grad():
        for conv in new.head.convs:
            conv.bias.view(3, -1)[:, 4] -= 20
    live = open_live(new, 'eager')
    parity = compare(new, live, SCENE, LOW)
    assert parity.boxes_compared == 100 and parity.boxes_max < 0.1 and parity.kept == 0
    with torch.no_grad():
        live.session.graph.head.convs[0].bias.add_(2)
    spoilt = compare(new, live, SCENE, LOW)
    assert spoilt.boxes_max > 1 and spoilt.best_again < 70


@pytest.mark.parametrize('count', [1, 2, 30, 500])
def test_a_threshold_that_some_boxes_are_above(detector, count):
    scores = torch.rand(count, 2, generator=torch.Generator().manual_seed(0)) * 0.01
    best = scores.amax(1).sort(descending=True).values
    threshold = _widest_gap(best)
    assert threshold > 0 and min(count, 20) - 1 <= int((best > threshold).sum()) <= 100
    assert _widest_gap(best * 0) is None and _widest_gap(best[:0]) is None


def test_boxes_thinner_than_a_pixel_are_the_same_where_they_lie():
    flat = [[31.65, 71.9, 31.65, 71.9], [20.0, 18.39, 20.2, 18.39], [20.0, 18.41, 20.2, 18.41], [5.0, 5.0, 25.0, 25.0]]
    boxes, scores, labels = torch.tensor(flat), torch.tensor([0.9, 0.8, 0.7, 0.6]), torch.tensor([0, 1, 1, 0])
    # In another order, which is told by the scores.
    own = (boxes.flip(0) + 0.003, scores.flip(0), labels.flip(0))
    found = compare_kept((boxes, scores, labels), own, 0.9)
    assert (found['kept'], found['kept_apart'], found['kept_scores_max']) == (4, 0, 0)
    moved = compare_kept((boxes, scores, labels), (boxes + 0.3, scores, labels), 0.9)
    assert moved['kept_apart'] == 6  # but for the one with an area
    relabelled = compare_kept((boxes, scores, labels), (boxes, scores, 1 - labels), 0.9)
    assert relabelled['kept_apart'] == 8
