"""LR-ASPP on timm's backbones, compared with torchvision's own on its MobileNetV3."""

import pytest
import torch
from torchvision.models.segmentation import lraspp_mobilenet_v3_large

import mbv3zoo
from mbv3zoo.config.segmenter import SegmenterConfig


@pytest.fixture(scope='module')
def pair():
    """torchvision's model of random weights, and ours with the same weights: both name them in the same order."""
    torch.manual_seed(0)
    theirs = lraspp_mobilenet_v3_large(weights=None, weights_backbone=None, num_classes=21).eval()
    for module in theirs.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 2)
    # torchvision's BatchNorms have this eps.
    ours = mbv3zoo.create_segmenter('mbv3_yolo_large', num_classes=21, bn_eps=1e-3, torchvision=True).eval()
    names = zip(ours.backbone.model.state_dict(), theirs.backbone.state_dict(), strict=True)
    backbone = theirs.backbone.state_dict()
    ours.backbone.model.load_state_dict({own: backbone[their] for own, their in names})
    ours.head.load_state_dict(theirs.classifier.state_dict())
    return ours, theirs


@pytest.mark.parametrize('size', [(224, 224), (160, 288), (512, 320)])
def test_logits_are_those_of_torchvision(pair, size):
    ours, theirs = pair
    images = torch.rand(2, 3, *size)
    with torch.no_grad():
        expected = theirs((images - ours.mean) / ours.std)['out']
        found = ours(images)
    assert found.shape == (2, 21, *size) and expected.std() > 0.01
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(
    ('backbone', 'settings', 'high', 'args'),
    [
        ('mbv3_yolo_small', {}, 16, {'output_stride': 16}),
        ('mbv3_yolo_small', {'high_stride': 32}, 32, {}),
        ('resnet18', {'low_stride': 4}, 16, {'output_stride': 16}),
        ('vit_tiny_patch16_224', {}, 16, {}),
        ('swin_tiny_patch4_window7_224', {}, 32, {}),
        ('swin_tiny_patch4_window7_224', {'high_stride': 16}, 16, {}),
    ],
)
def test_the_high_map_is_at_stride_16_where_the_family_can(backbone, settings, high, args):
    config = SegmenterConfig(backbone=backbone, num_classes=3, image_size=224, **settings)
    network = mbv3zoo.create_segmenter(config, device='meta').eval()
    assert (network.config.high_stride, network.config.backbone_args) == (high, args)
    assert mbv3zoo.create_segmenter(network.config, device='meta').config == network.config
    low = network.config.low_stride
    (logits,) = network.maps(torch.zeros(1, 3, 224, 224, device='meta'))
    assert logits.shape == (1, 3, 224 // low, 224 // low) and network.strides == (low,)


def test_a_wrong_input_is_refused_as_by_detectors():
    segmenter = mbv3zoo.create_segmenter('mbv3_yolo_small', num_classes=3, device='meta')
    with pytest.raises(ValueError, match='a segmenter is called with a float tensor'):
        segmenter('a.jpg')
    with pytest.raises(ValueError, match='multiples of 32, given 100 x 64'):
        segmenter(torch.zeros(1, 3, 100, 64, device='meta'))
