import pytest
import torch
from torch import nn
from torch.nn.functional import batch_norm, conv2d, silu

from mbv3zoo.models.layer_lists.ghost import C3Ghost, GhostBottleneck, GhostConv


def randomised(module):
    generator = torch.Generator().manual_seed(0)
    for norm in module.modules():
        if isinstance(norm, nn.BatchNorm2d):
            for tensor in (norm.weight.data, norm.bias.data, norm.running_mean, norm.running_var):
                tensor.copy_(torch.rand(tensor.shape, generator=generator) + 0.5)
    return module.eval()


def plain_conv(layer, x, act=True):
    """Convolution, BatchNorm and SiLU, written out."""
    conv, norm = layer.conv, layer.bn
    padding = conv.kernel_size[0] // 2
    x = conv2d(x, conv.weight, stride=conv.stride, padding=padding, groups=conv.groups)
    x = batch_norm(x, norm.running_mean, norm.running_var, norm.weight, norm.bias, eps=1e-3)
    return silu(x) if act else x


def plain_ghost(layer, x, act=True):
    first = plain_conv(layer.conv1, x, act)
    assert layer.conv2.conv.groups == first.shape[1] and layer.conv2.conv.kernel_size == (5, 5)
    return torch.cat([first, plain_conv(layer.conv2, first, act)], 1)


@pytest.mark.parametrize(('kernel_size', 'stride'), [(1, 1), (3, 2)])
def test_ghost_conv(kernel_size, stride):
    layer, x = randomised(GhostConv(6, 8, kernel_size, stride)), torch.rand(2, 6, 9, 7)
    torch.testing.assert_close(layer(x), plain_ghost(layer, x), rtol=1e-4, atol=1e-5)


def test_ghost_bottlenecks():
    x = torch.rand(2, 8, 8, 6)
    layer = randomised(GhostBottleneck(8, 8))
    expected = plain_ghost(layer.conv[2], plain_ghost(layer.conv[0], x), act=False) + x
    torch.testing.assert_close(layer(x), expected, rtol=1e-4, atol=1e-5)

    layer = randomised(GhostBottleneck(8, 16, 3, 2))
    down = plain_conv(layer.conv[1], plain_ghost(layer.conv[0], x), act=False)
    shortcut = plain_conv(layer.shortcut[1], plain_conv(layer.shortcut[0], x, act=False), act=False)
    expected = plain_ghost(layer.conv[2], down, act=False) + shortcut
    torch.testing.assert_close(layer(x), expected, rtol=1e-4, atol=1e-5)


def test_c3_ghost():
    layer, x = randomised(C3Ghost(8, 16, 2)), torch.rand(1, 8, 8, 8)
    inner = plain_conv(layer.conv1, x)
    for block in layer.blocks:
        assert isinstance(block, GhostBottleneck)
        inner = plain_ghost(block.conv[2], plain_ghost(block.conv[0], inner), act=False) + inner
    expected = plain_conv(layer.conv3, torch.cat([inner, plain_conv(layer.conv2, x)], 1))
    torch.testing.assert_close(layer(x), expected, rtol=1e-4, atol=1e-5)
