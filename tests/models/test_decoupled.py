import copy
import json
import math

import pytest
import torch
from torch.nn.functional import conv2d, silu

import mbv3zoo
from mbv3zoo import create_detector
from mbv3zoo.models.decoupled import DecoupledHead

CHANNELS, STRIDES = [8, 16, 24], (8, 16, 32)


def convolved(layer, x, **options):
    """Convolution, norm and activation of a layer, written out."""
    norm = layer.bn
    y = conv2d(x, layer.conv.weight, **options)
    mean, spread = (value.view(1, -1, 1, 1) for value in (norm.running_mean, (norm.running_var + norm.eps).sqrt()))
    return silu((y - mean) / spread * norm.weight.view(1, -1, 1, 1) + norm.bias.view(1, -1, 1, 1))


def separable(tower, x):
    seen = convolved(tower.depthwise, x, padding=2, groups=x.shape[1])
    return convolved(tower.pointwise, seen)


@pytest.mark.parametrize(('num_classes', 'num_anchors'), [(3, 2), (1, 3), (80, 1)])
def test_boxes_have_their_own_layers_and_anchors_share_the_classes(num_classes, num_anchors):
    torch.manual_seed(0)
    head = DecoupledHead(CHANNELS, num_classes, num_anchors, STRIDES, 'silu').eval()
    for norm in head.modules():
        if isinstance(norm, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(norm.running_var, 0.5, 2)
            torch.nn.init.normal_(norm.running_mean)
    features = [torch.randn(2, c, 64 // s, 96 // s) for c, s in zip(CHANNELS, STRIDES, strict=True)]
    for level, (x, logits) in enumerate(zip(features, head(features), strict=True)):
        last, classes = head.box_convs[level], head.class_convs[level]
        boxes = conv2d(separable(head.box_towers[level], x), last.weight, last.bias)
        shared = conv2d(separable(head.class_towers[level], x), classes.weight, classes.bias)
        assert logits.shape == (2, num_anchors, *x.shape[2:], 5 + num_classes)
        for anchor in range(num_anchors):
            own = logits[:, anchor].permute(0, 3, 1, 2)
            torch.testing.assert_close(own[:, :5], boxes[:, 5 * anchor : 5 * anchor + 5])
            torch.testing.assert_close(own[:, 5:], shared)


def test_training_starts_from_the_priors_of_the_plain_head():
    torch.manual_seed(0)
    head = DecoupledHead(CHANNELS, 80, 3, STRIDES, 'silu')
    for boxes, classes, stride, channels in zip(head.box_convs, head.class_convs, STRIDES, CHANNELS, strict=True):
        most = 1 / math.sqrt(channels)  # PyTorch's own random biases
        boxes = boxes.bias.detach().view(3, 5)
        assert (boxes[:, 4] - math.log(8 / (640 / stride) ** 2)).abs().max() <= most
        assert boxes[:, :4].abs().max() <= most
        assert (classes.bias.detach() - math.log(0.6 / 79.00001)).abs().max() <= most


def test_a_decoupled_detector_is_saved_copied_folded_and_given_other_classes(tmp_path):
    torch.manual_seed(0)
    options = {'class_names': ['a', 'b', 'c'], 'image_size': 64, 'head': 'decoupled'}
    detector = create_detector('mbv3_yolo_small_050', **options).eval()
    images = torch.rand(1, 3, 64, 96)
    with torch.inference_mode():
        expected = detector(images)
        folder = detector.save_pretrained(tmp_path)
        assert 'decoupled head' in (folder / 'README.md').read_text() and 'decoupled head' in repr(detector)
        for again in (mbv3zoo.Detector.from_pretrained(folder), copy.deepcopy(detector)):
            assert all(torch.equal(a, b) for a, b in zip(expected, again(images), strict=True))
        other = create_detector(folder, pretrained=True, class_names=['c', 'z']).eval()
        for own, known in zip(other(images), expected, strict=True):
            torch.testing.assert_close(own[..., :6], known[..., [0, 1, 2, 3, 4, 7]])
        assert all(torch.allclose(a, b, atol=1e-4) for a, b in zip(expected, detector.fuse()(images), strict=True))


def test_the_plain_head_is_not_named_in_files(tmp_path):
    plain = create_detector('mbv3_yolo_small_050', num_classes=3, image_size=64)
    assert 'head' not in json.loads((plain.save_pretrained(tmp_path / 'plain') / 'config.json').read_text())
    with pytest.raises(ValueError, match=r"^head: expected 'plain' or 'decoupled' \(given: 'deep'\)"):
        create_detector('mbv3_yolo_small_050', head='deep')


@pytest.mark.parametrize('suffix', ['.onnx', '.xml'])
def test_an_exported_one_gives_the_same_logits(tmp_path, suffix):
    torch.manual_seed(0)
    detector = create_detector('mbv3_yolo_small_050', num_classes=3, image_size=64, head='decoupled').eval()
    # Parity with the detector is checked in each export: it fails where they differ.
    exported = mbv3zoo.load(detector.export(tmp_path / f'file{suffix}'))
    images = torch.randint(0, 256, (1, 3, 64, 64), dtype=torch.uint8)
    with torch.no_grad():
        expected = detector(images.float() / 255)
    for found, level in zip(exported.run(images.numpy()), expected, strict=True):
        own = torch.from_numpy(found).unflatten(1, (3, -1)).permute(0, 1, 3, 4, 2)
        torch.testing.assert_close(own, level, rtol=1e-4, atol=1e-4)
