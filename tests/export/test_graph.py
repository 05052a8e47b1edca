"""The graph that is exported beside the detector's network."""

import pytest
import torch
from timm.layers import Conv2dSame
from torch import nn

from mbv3zoo import create_detector
from mbv3zoo.export.deployed_neck import DeployedPAN
from mbv3zoo.export.fixed_padding import PaddedConv2d
from mbv3zoo.export.graph import DeployedNetwork
from mbv3zoo.models.neck import PAN
from mbv3zoo.runtimes.export_info import ExportInfo
from mbv3zoo.version import __version__


def unlike_itself(detector):
    """Norms that have statistics, weights and biases, so that nothing that is folded is zero or one."""
    for module in detector.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_mean, -0.5, 0.5)
            nn.init.uniform_(module.running_var, 0.5, 2)
            nn.init.uniform_(module.weight, 0.5, 2)
            nn.init.uniform_(module.bias, -0.5, 0.5)
    return detector.eval()


def deployed(detector, **settings):
    return DeployedNetwork(
        detector, ExportInfo.of(detector.config, detector.strides, __version__, input_dtype='float32', **settings)
    )


@pytest.mark.parametrize(
    'options',
    [
        {},
        {'neck': 'light'},
        {'neck': 'light', 'activation': 'hard_swish', 'width_multiple': 0.5, 'depth_multiple': 0.67},
        {'model': 'resnet18', 'width_multiple': 0.125},
    ],
)
def test_the_same_numbers(options):
    torch.manual_seed(0)
    options = {'model': 'mbv3_yolo_small', 'num_classes': 3, **options}
    detector = unlike_itself(create_detector(options.pop('model'), image_size=64, **options))
    pixels = torch.randint(256, (2, 3, 64, 128)).float()
    with torch.no_grad():
        expected = [x.permute(0, 1, 4, 2, 3).flatten(1, 2) for x in detector(pixels / 255)]
        found = deployed(detector)(pixels)
    for own, other in zip(found, expected, strict=True):
        assert other.std() > 0.1
        torch.testing.assert_close(own, other, rtol=1e-4, atol=1e-4 * other.std().item())


def test_the_detector_stays_as_it_is():
    detector = create_detector('mbv3_yolo_small', num_classes=3, image_size=64).eval()
    before = {name: value.clone() for name, value in detector.state_dict().items()}
    graph = deployed(detector)
    assert isinstance(graph.neck, DeployedPAN) and isinstance(detector.neck, PAN)
    for name, value in detector.state_dict().items():
        torch.testing.assert_close(value, before[name], rtol=0, atol=0)


@pytest.mark.parametrize(
    ('backbone', 'settings'),
    [('mbv3_yolo_small_light', {}), ('mbv3_yolo_small_050', {'in_chans': 1}), ('vit_tiny_patch16_224', {})],
)
def test_the_graph_is_the_network(backbone, settings):
    torch.manual_seed(0)
    detector = create_detector(backbone, num_classes=3, image_size=(64, 96), **settings).eval()
    graph = DeployedNetwork(detector, ExportInfo.of(detector.config, detector.strides, '0'))
    pixels = torch.randint(0, 256, (2, detector.config.in_chans, 64, 96), dtype=torch.uint8)
    with torch.no_grad():
        expected, found = detector(pixels / 255), graph(pixels)
    for own, maps in zip(expected, found, strict=True):
        maps = maps.view(2, 3, 8, *maps.shape[2:]).permute(0, 1, 3, 4, 2)
        assert torch.allclose(own, maps, atol=1e-4)
    assert not detector.fused


def test_same_padding_is_a_constant_where_sizes_are_open():
    detector = unlike_itself(create_detector('mbv3_yolo_small_minimal', num_classes=3, image_size=64))
    graph = deployed(detector, dynamic=True)
    kinds = [type(m) for m in graph.modules()]
    assert kinds.count(PaddedConv2d) == 5 and Conv2dSame not in kinds
    assert any(isinstance(m, Conv2dSame) for m in detector.modules())
    for size in ((32, 32), (64, 96), (160, 32)):
        pixels = torch.randint(256, (2, 3, *size)).float()
        with torch.no_grad():
            expected = [x.permute(0, 1, 4, 2, 3).flatten(1, 2) for x in detector(pixels / 255)]
            for own, other in zip(graph(pixels), expected, strict=True):
                torch.testing.assert_close(own, other, rtol=1e-4, atol=1e-4 * other.std().item())


def by_a_hook(detector):
    detector.register_forward_hook(lambda module, images, maps: [level * 2 for level in maps])


def by_a_hook_of_the_head(detector):
    detector.head.register_forward_pre_hook(lambda module, maps: ([level * 2 for level in maps[0]],))


def by_a_forward_of_the_neck(detector):
    forward = detector.neck.forward
    detector.neck.forward = lambda maps: [level + 1 for level in forward(maps)]


def by_a_derived_class(detector):
    class Mine(type(detector)):
        def forward(self, images):
            return super().forward(images.flip(3))

    detector.__class__ = Mine


@pytest.mark.parametrize(
    'change',
    [by_a_hook, by_a_hook_of_the_head, by_a_forward_of_the_neck, by_a_derived_class],
    ids=lambda change: change.__name__,
)
def test_what_a_graph_does_not_take_over_is_refused(change):
    detector = unlike_itself(create_detector('mbv3_yolo_small_050', num_classes=2, image_size=64))
    deployed(detector)
    change(detector)
    with pytest.raises(ValueError, match='would not give what the detector itself gives.*hooks or a forward'):
        deployed(detector)


@pytest.mark.parametrize('what', ['hook', 'forward'])
def test_what_is_changed_within_a_part_is_taken_over(what):
    detector = unlike_itself(create_detector('mbv3_yolo_small_050', num_classes=2, image_size=64))
    layer = next(module for module in detector.neck.modules() if isinstance(module, nn.SiLU))
    if what == 'hook':
        layer.register_forward_hook(lambda module, inputs, output: output * 3 + 1)
    else:
        layer.forward = lambda x: x * 3 + 1
    deployed(detector)


def test_a_detector_in_half_precision_has_anchors_that_are_not_rounded():
    anchors = [[[9.001, 13.377], [16, 30], [33, 23]]] * 3
    detector = create_detector('mbv3_yolo_small_050', num_classes=2, image_size=64, anchors=anchors).half()
    assert torch.equal(deployed(detector).anchors, torch.tensor(anchors))
