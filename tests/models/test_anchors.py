import torch

from mbv3zoo.config.detector import DEFAULT_ANCHORS, DetectorConfig
from mbv3zoo.create import create_detector
from mbv3zoo.models.anchors import default_anchors


def test_default_anchors():
    assert default_anchors((8, 16, 32), 3) == DEFAULT_ANCHORS
    for strides, count in (((8, 16, 32), 2), ((4, 8, 16, 32), 3), ((8, 16, 32, 64), 1), ((16, 32), 3)):
        anchors = torch.tensor(default_anchors(strides, count))
        assert anchors.shape == (len(strides), count, 2)
        cells = anchors / torch.tensor(strides).view(-1, 1, 1)
        assert (cells > 2).all() and (cells < 6).all()
        assert (anchors.diff(dim=1) > 0).all()


def test_a_detector_with_a_number_of_anchors():
    detector = create_detector('mbv3_yolo_small', num_classes=2, anchors=4, device='meta')
    assert detector.head.num_anchors == 4 and len(detector.config.anchors[0]) == 4
    assert DetectorConfig.parse(detector.config.model_dump()) == detector.config
