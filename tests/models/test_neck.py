import math

import pytest
import torch
from torch import nn

from mbv3zoo.config.scaling import scale_depth, scale_width
from mbv3zoo.models.neck import PAN

# depth_multiple, width_multiple, P3 to P5 channels, bottlenecks of a C3 that has 3 at depth 1.
COMPOUND = {
    'n': (0.33, 0.25, [64, 128, 256], 1),
    's': (0.33, 0.50, [128, 256, 512], 1),
    'm': (0.67, 0.75, [192, 384, 768], 2),
    'l': (1.00, 1.00, [256, 512, 1024], 3),
    'x': (1.33, 1.25, [320, 640, 1280], 4),
}


@pytest.mark.parametrize('name', COMPOUND)
def test_compound_scaling(name):
    depth_multiple, width_multiple, widths, depth = COMPOUND[name]
    assert [scale_width(width, width_multiple) for width in (256, 512, 1024)] == widths
    assert scale_depth(3, depth_multiple) == depth
    with torch.device('meta'):
        neck = PAN([24, 48, 576], depth_multiple, width_multiple)
        outputs = neck([torch.empty(1, c, 64 // s, 96 // s) for c, s in ((24, 8), (48, 16), (576, 32))])
    assert neck.out_channels == widths
    assert all(
        len(getattr(neck, block).blocks) == depth for block in ('top_down4', 'top_down3', 'bottom_up4', 'bottom_up5')
    )
    assert [x.shape for x in outputs] == [(1, widths[0], 8, 12), (1, widths[1], 4, 6), (1, widths[2], 2, 3)]


def parameters_by_formula(in_channels, depth_multiple, width_multiple):
    """Layers 9 to 23 of YOLOv5's table: each Conv has k*k*in*out weights and a BatchNorm of 2*out."""

    def width(channels):
        return math.ceil(channels * width_multiple / 8) * 8

    def conv(inputs, outputs, kernel_size=1):
        return kernel_size**2 * inputs * outputs + 2 * outputs

    def c3(inputs, outputs):
        hidden = outputs // 2
        bottleneck = conv(hidden, hidden) + conv(hidden, hidden, 3)
        return 2 * conv(inputs, hidden) + depth * bottleneck + conv(2 * hidden, outputs)

    depth = max(round(3 * depth_multiple), 1)
    c3_in, c4_in, c5_in = in_channels
    w256, w512, w1024 = width(256), width(512), width(1024)
    return sum(
        [
            conv(c5_in, c5_in // 2) + conv(c5_in // 2 * 4, w1024),  # 9 SPPF
            conv(w1024, w512),  # 10
            c3(w512 + c4_in, w512),  # 13
            conv(w512, w256),  # 14
            c3(w256 + c3_in, w256),  # 17, P3
            conv(w256, w256, 3),  # 18
            c3(w256 + w256, w512),  # 20, P4
            conv(w512, w512, 3),  # 21
            c3(w512 + w512, w1024),  # 23, P5
        ]
    )


@pytest.mark.parametrize('in_channels', [(24, 48, 576), (40, 112, 960), (128, 256, 512)])
@pytest.mark.parametrize('name', COMPOUND)
def test_parameters_by_formula(name, in_channels):
    depth_multiple, width_multiple, *_ = COMPOUND[name]
    with torch.device('meta'):
        neck = PAN(in_channels, depth_multiple, width_multiple)
    assert sum(p.numel() for p in neck.parameters()) == parameters_by_formula(
        in_channels, depth_multiple, width_multiple
    )


def test_forward_is_the_layer_list():
    """The table's own numbering, with the layers it takes from: [from, ...] of each concat written out."""
    torch.manual_seed(0)
    neck = PAN([16, 24, 40], 0.33, 0.125).eval()
    up = nn.Upsample(scale_factor=2, mode='nearest')
    layers = {4: torch.randn(2, 16, 8, 12), 6: torch.randn(2, 24, 4, 6), 8: torch.randn(2, 40, 2, 3)}
    with torch.no_grad():
        layers[9] = neck.sppf(layers[8])
        layers[10] = neck.lateral5(layers[9])
        layers[12] = torch.cat([up(layers[10]), layers[6]], 1)
        layers[13] = neck.top_down4(layers[12])
        layers[14] = neck.lateral4(layers[13])
        layers[16] = torch.cat([up(layers[14]), layers[4]], 1)
        layers[17] = neck.top_down3(layers[16])
        layers[19] = torch.cat([neck.down3(layers[17]), layers[14]], 1)
        layers[20] = neck.bottom_up4(layers[19])
        layers[22] = torch.cat([neck.down4(layers[20]), layers[10]], 1)
        layers[23] = neck.bottom_up5(layers[22])
        outputs = neck([layers[4], layers[6], layers[8]])
    assert all(torch.equal(x, layers[i]) for x, i in zip(outputs, (17, 20, 23), strict=True))


def test_no_shortcut_in_the_neck_and_its_activation():
    neck = PAN([16, 24, 40], 1, 0.125, act='relu')
    blocks = [neck.top_down4, neck.top_down3, neck.bottom_up4, neck.bottom_up5]
    assert not any(bottleneck.shortcut for block in blocks for bottleneck in block.blocks)
    assert not any(isinstance(module, nn.SiLU) for module in neck.modules())
    assert sum(isinstance(module, nn.ReLU) for module in neck.modules()) == sum(
        isinstance(module, nn.Conv2d) for module in neck.modules()
    )


def test_every_input_reaches_every_output():
    torch.manual_seed(0)
    neck = PAN([8, 8, 8], 0.33, 0.125).eval()
    for level in range(3):
        inputs = [torch.randn(1, 8, 4 * 4 // 2**i, 4 * 4 // 2**i, requires_grad=True) for i in range(3)]
        neck(inputs)[level].sum().backward()
        assert all(x.grad.abs().sum() > 0 for x in inputs)
