import math

import pytest
import torch

from mbv3zoo.models.head import DetectHead

STRIDES = (8, 16, 32)


@pytest.mark.parametrize(('num_classes', 'num_anchors'), [(1, 3), (80, 3), (2, 1)])
def test_shapes_and_parameters(num_classes, num_anchors):
    channels = [16, 24, 40]
    head = DetectHead(channels, num_classes, num_anchors, STRIDES)
    features = [torch.randn(2, c, 64 // s, 96 // s) for c, s in zip(channels, STRIDES, strict=True)]
    assert [x.shape for x in head(features)] == [(2, num_anchors, 64 // s, 96 // s, 5 + num_classes) for s in STRIDES]
    # One 1x1 convolution with a bias for each level.
    outputs = num_anchors * (5 + num_classes)
    assert sum(p.numel() for p in head.parameters()) == sum(c * outputs + outputs for c in channels)


def test_layout_of_the_channels():
    """Channel a * (5 + K) + i of a level is output i of anchor a, as in YOLOv5's checkpoints."""
    head = DetectHead([4], 2, 3, [8])
    x = torch.randn(1, 4, 2, 5)
    flat, shaped = head.convs[0](x), head([x])[0]
    for anchor in range(3):
        for output in range(7):
            assert torch.equal(shaped[0, anchor, :, :, output], flat[0, anchor * 7 + output])


@pytest.mark.parametrize('num_classes', [1, 2, 80])
def test_bias_start(num_classes):
    torch.manual_seed(0)
    head = DetectHead([4, 4, 4], num_classes, 3, STRIDES)
    torch.manual_seed(0)
    for conv, stride in zip(head.convs, STRIDES, strict=True):
        plain = torch.nn.Conv2d(4, 3 * (5 + num_classes), 1)
        before = plain.bias.view(3, -1)
        after = conv.bias.view(3, -1)
        added = torch.zeros(5 + num_classes)
        added[4] = math.log(8 / (640 / stride) ** 2)
        added[5:] = math.log(0.6 / (num_classes - 0.99999))
        torch.testing.assert_close(after - before, added.expand(3, -1), atol=1e-5, rtol=0)
        assert torch.equal(conv.weight, plain.weight)
        # The draws for all levels come in order.
    assert conv.bias.requires_grad and conv.bias.is_leaf


def test_start_sees_little():
    """With 80 classes an untrained head thinks that about 8 of a picture's cells hold something."""
    torch.manual_seed(0)
    head = DetectHead([4, 4, 4], 80, 3, STRIDES)
    features = [torch.zeros(1, 4, 640 // s, 640 // s) for s in STRIDES]
    for logits in head(features):
        seen = logits[..., 4].detach().sigmoid().sum() / 3
        # The convolutions' own random biases, within +-0.5 for 4 channels, are added.
        assert 8 * math.exp(-0.5) * 0.9 < seen < 8 * math.exp(0.5) * 1.1
