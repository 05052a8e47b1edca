import pytest
import torch
from torch import nn
from torch.nn.functional import max_pool2d, silu

from mbv3zoo.models.layers import C3, SPP, SPPF, Bottleneck, conv, depthwise_conv


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


def plain_conv(block, x):
    """Convolution, BatchNorm with its running statistics, SiLU, written out."""
    kernel_size, norm = block.conv.kernel_size[0], block.bn
    x = nn.functional.conv2d(x, block.conv.weight, stride=block.conv.stride, padding=kernel_size // 2)
    scale = (norm.weight / (norm.running_var + 1e-3).sqrt()).view(1, -1, 1, 1)
    return silu((x - norm.running_mean.view(1, -1, 1, 1)) * scale + norm.bias.view(1, -1, 1, 1))


def randomised(module):
    for norm in module.modules():
        if isinstance(norm, nn.BatchNorm2d):
            for tensor in (norm.weight.data, norm.running_var):
                tensor.uniform_(0.5, 1.5)
            for tensor in (norm.bias.data, norm.running_mean):
                tensor.uniform_(-0.5, 0.5)
    return module.eval()


def assert_close(x, y):
    assert x.shape == y.shape
    torch.testing.assert_close(x, y, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(('kernel_size', 'stride', 'size'), [(1, 1, (7, 5)), (3, 1, (7, 5)), (3, 2, (4, 3))])
def test_conv(kernel_size, stride, size):
    block = randomised(conv(4, 6, kernel_size, stride))
    x = torch.randn(2, 4, 7, 5)
    assert block.conv.bias is None and block.bn.eps == 1e-3 and block.bn.momentum == 0.03
    assert block(x).shape == (2, 6, *size)
    assert_close(block(x), plain_conv(block, x))


def test_activations():
    x = torch.randn(2, 4, 3, 3)
    assert (conv(4, 6, act='relu')(x) >= 0).all()
    assert (conv(4, 6, act='silu')(x) < 0).any()
    with pytest.raises(ValueError, match="unknown activation 'sillu'"):
        conv(4, 6, act='sillu')


@pytest.mark.parametrize('shortcut', [True, False])
def test_bottleneck(shortcut):
    block = randomised(Bottleneck(4, 4, shortcut, expansion=1.0))
    x = torch.randn(2, 4, 5, 6)
    expected = plain_conv(block.conv2, plain_conv(block.conv1, x))
    assert_close(block(x), x + expected if shortcut else expected)


@pytest.mark.parametrize(('depth', 'shortcut'), [(1, True), (3, False)])
def test_c3(depth, shortcut):
    block = randomised(C3(6, 8, depth, shortcut))
    x = torch.randn(2, 6, 5, 4)
    assert len(block.blocks) == depth
    deep = plain_conv(block.conv1, x)
    for bottleneck in block.blocks:
        step = plain_conv(bottleneck.conv2, plain_conv(bottleneck.conv1, deep))
        deep = deep + step if shortcut else step
    assert deep.shape[1] == 4
    # The branch of bottlenecks stands first, as in YOLOv5's checkpoints.
    assert_close(block(x), plain_conv(block.conv3, torch.cat([deep, plain_conv(block.conv2, x)], 1)))


def test_sppf():
    block = randomised(SPPF(6, 10))
    x = torch.randn(2, 6, 9, 7)
    hidden = plain_conv(block.conv1, x)
    assert hidden.shape[1] == 3
    # A chain of two 5x5 pools is one of 9x9, of three one of 13x13.
    pooled = [max_pool2d(hidden, size, 1, size // 2) for size in (5, 9, 13)]
    assert_close(block(x), plain_conv(block.conv2, torch.cat([hidden, *pooled], 1)))


def test_one_cell_and_no_pictures():
    for block in (Bottleneck(4, 4), C3(4, 8), SPPF(4, 8)):
        assert block.eval()(torch.randn(1, 4, 1, 1)).shape[2:] == (1, 1)
        assert block(torch.randn(0, 4, 2, 3)).shape[0] == 0


@pytest.mark.parametrize(('kernel_size', 'padding'), [(6, 2), (5, None), (4, None), (2, None)])
def test_padding_of_a_convolution(kernel_size, padding):
    block = randomised(conv(4, 6, kernel_size, 2, padding))
    expected = kernel_size // 2 if padding is None else padding
    assert block.conv.padding == (expected, expected)
    x = torch.randn(1, 4, 16, 16)
    plain = nn.functional.conv2d(x, block.conv.weight, stride=2, padding=expected)
    assert block(x).shape == plain.shape


def test_groups_dilation_and_no_activation():
    block = randomised(conv(4, 8, 3, 1, None, 2, 2, False))
    x, norm = torch.randn(1, 4, 9, 9), block.bn
    plain = nn.functional.conv2d(x, block.conv.weight, padding=2, dilation=2, groups=2)
    plain = nn.functional.batch_norm(plain, norm.running_mean, norm.running_var, norm.weight, norm.bias, eps=1e-3)
    assert_close(block(x), plain)


@pytest.mark.parametrize(('channels', 'groups'), [((8, 8), 8), ((8, 12), 4), ((8, 3), 1)])
def test_depthwise_conv(channels, groups):
    assert depthwise_conv(*channels, 3).conv.groups == groups


def test_spp_is_three_pools_side_by_side_and_sppf_the_same_in_a_chain():
    spp, sppf = randomised(SPP(8, 6)), randomised(SPPF(8, 6))
    sppf.load_state_dict(spp.state_dict())
    x = torch.randn(2, 8, 20, 17)
    y = plain_conv(spp.conv1, x)
    pools = [max_pool2d(y, size, 1, size // 2) for size in (5, 9, 13)]
    assert_close(spp(x), plain_conv(spp.conv2, torch.cat([y, *pools], 1)))
    # Pools of 5 one after the other see 5, 9 and 13 cells.
    assert_close(spp(x), sppf(x))


def test_a_shortcut_needs_equal_widths():
    assert Bottleneck(8, 8).shortcut and not Bottleneck(8, 6).shortcut and not Bottleneck(8, 8, False).shortcut


def test_groups_and_expansion():
    """A C3's hidden channels, and the groups of its 3x3 convolutions."""
    block = randomised(C3(8, 16, 2, True, 2, 0.25))
    assert block.conv1.conv.out_channels == block.conv2.conv.out_channels == 4
    x = torch.randn(2, 8, 6, 5)
    deep = plain_conv(block.conv1, x)
    for bottleneck in block.blocks:
        conv2, norm = bottleneck.conv2.conv, bottleneck.conv2.bn
        y = nn.functional.conv2d(plain_conv(bottleneck.conv1, deep), conv2.weight, padding=1, groups=2)
        y = nn.functional.batch_norm(y, norm.running_mean, norm.running_var, norm.weight, norm.bias, eps=1e-3)
        deep = deep + silu(y)
    assert_close(block(x), plain_conv(block.conv3, torch.cat([deep, plain_conv(block.conv2, x)], 1)))
    # Alone, a bottleneck squeezes to half.
    assert (
        Bottleneck(8, 16).conv1.conv.out_channels == 8 and Bottleneck(8, 16, True, 1, 0.25).conv1.conv.out_channels == 4
    )
