"""Layers behind a narrowed backbone; whole models of such configs are in widths/test_rebuilt."""

import pytest
import torch

import mbv3zoo
from mbv3zoo.config.detector import DetectorConfig
from mbv3zoo.config.segmenter import SegmenterConfig

BACKBONE = {'backbone': 'narrowed', 'backbone_args': {'base': 'mbv3_yolo_small', 'widths': {'blocks.5.0.conv': 96}}}


def test_a_neck_keeps_the_widths_that_no_one_names():
    """Also those that follow from the backbone's, as they were when the neck was made: SPPF's half of C5."""
    plain = mbv3zoo.create_detector('mbv3_yolo_small', num_classes=4, image_size=64)
    narrowed = mbv3zoo.create_detector(DetectorConfig(num_classes=4, image_size=64, **BACKBONE))
    first, second = plain.neck.sppf.conv1.conv, narrowed.neck.sppf.conv1.conv
    assert first.out_channels == second.out_channels and second.in_channels == 96
    assert narrowed.neck.out_channels == plain.neck.out_channels


def test_widths_behind_the_backbone(tmp_path):
    config = DetectorConfig(num_classes=4, image_size=64, widths={'neck.top_down3.conv3.conv': 24}, **BACKBONE)
    detector = mbv3zoo.create_detector(config)
    maps = detector.neck(detector.backbone(torch.rand(1, 3, 64, 64)))
    assert detector.neck.out_channels == [x.shape[1] for x in maps] and maps[0].shape[1] == 24
    detector.save_pretrained(tmp_path)
    again = mbv3zoo.load(tmp_path).eval()
    images = torch.rand(1, 3, 64, 64)
    for one, other in zip(detector.eval()(images), again(images), strict=True):
        assert torch.equal(one, other)


def test_a_segmenter():
    config = SegmenterConfig(num_classes=4, image_size=64, **BACKBONE)
    assert mbv3zoo.create_segmenter(config)(torch.rand(1, 3, 64, 64)).shape == (1, 4, 64, 64)


def test_a_layer_that_does_not_exist_is_told():
    with pytest.raises(ValueError, match=r"widths: 'neck.top_down9' has no width of its own"):
        mbv3zoo.create_detector(DetectorConfig(num_classes=4, widths={'neck.top_down9': 8}, **BACKBONE))
