import numpy as np
import pytest
import torch
from exported_files import SCENE

import mbv3zoo
from mbv3zoo.export.live import open_live
from mbv3zoo.export.parity import compare
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
        live.session.graph.convs[0].bias.add_(0.5)
    parity = compare(detector, live, SCENE, LOW)
    assert 0.1 < parity.logits_max < 0.6 and parity.logits_mean < parity.logits_max
    assert parity.boxes_max > 0.1


def test_nothing_to_see(detector):
    blank = np.zeros((50, 80, 3), np.uint8)
    parity = compare(detector, open_live(detector, 'eager'), blank, Thresholds(score_thresh=1))
    assert parity.size == (50, 80) and (parity.kept, parity.kept_apart, parity.kept_boxes_max) == (0, 0, 0)
