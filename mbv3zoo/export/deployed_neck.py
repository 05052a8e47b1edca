"""A path aggregation neck as a graph with fewer multiplications; the numbers are the same but for rounding.

A 1x1 convolution commutes with nearest-neighbour upsampling: its part that reads the coarse map runs before the
upsampling, on a quarter of the cells, and the concatenation becomes a sum. The two 1x1 convolutions of a C3 read the
same map and become one. docs/performance.md has what this saves.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn
from torch.nn.functional import interpolate

from mbv3zoo.models.layers import C3
from mbv3zoo.models.neck import PathAggregation

_BLOCKS = ('top_down4', 'top_down3', 'bottom_up4', 'bottom_up5')


def deployed_neck(neck: nn.Module) -> nn.Module:
    """A neck for an exported graph: faster if it is a path aggregation neck of C3 blocks, else as it is."""
    if isinstance(neck, PathAggregation) and all(isinstance(getattr(neck, name), C3) for name in _BLOCKS):
        return DeployedPAN(neck)
    return neck


def _width(layer: Any) -> int:
    return layer.conv.out_channels


class DeployedPAN(nn.Module):
    """A fused path aggregation neck; C3, C4, C5 -> P3, P4, P5.

    Args:
        neck: The neck, fused. Its layers are shared, not copied.
    """

    def __init__(self, neck: PathAggregation) -> None:
        super().__init__()
        self.sppf, self.lateral5, self.lateral4 = neck.sppf, neck.lateral5, neck.lateral4
        self.down3, self.down4 = neck.down3, neck.down4
        self.top_down4 = _UpsampledC3(_c3(neck.top_down4), _width(neck.lateral5))
        self.top_down3 = _UpsampledC3(_c3(neck.top_down3), _width(neck.lateral4))
        self.bottom_up4, self.bottom_up5 = _MergedC3(_c3(neck.bottom_up4)), _MergedC3(_c3(neck.bottom_up5))

    def forward(self, features: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        c3, c4, c5 = features
        lateral5 = self.lateral5(self.sppf(c5))
        lateral4 = self.lateral4(self.top_down4(lateral5, c4))
        p3 = self.top_down3(lateral4, c3)
        p4 = self.bottom_up4(torch.cat([self.down3(p3), lateral4], 1))
        p5 = self.bottom_up5(torch.cat([self.down4(p4), lateral5], 1))
        return [p3, p4, p5]


class _MergedC3(nn.Module):
    """A C3 whose first two convolutions are merged into one; [B, in, H, W] -> [B, out, H, W]."""

    def __init__(self, block: C3) -> None:
        super().__init__()
        self.conv = _pointwise(*_first_two(block))
        self.rest = _Rest(block)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.rest(self.conv(x))


class _UpsampledC3(nn.Module):
    """A C3 on the concatenation of a coarse map, upsampled by 2, and a fine map.

    [B, coarse, H, W], [B, in - coarse, 2 H, 2 W] -> [B, out, 2 H, 2 W].
    """

    def __init__(self, block: C3, coarse_channels: int) -> None:
        super().__init__()
        weight, bias = _first_two(block)
        self.coarse = _pointwise(weight[:, :coarse_channels], None)
        self.fine = _pointwise(weight[:, coarse_channels:], bias)
        self.rest = _Rest(block)

    def forward(self, coarse: torch.Tensor, fine: torch.Tensor) -> torch.Tensor:
        return self.rest(interpolate(self.coarse(coarse), scale_factor=2) + self.fine(fine))


class _Rest(nn.Module):
    """The rest of a C3 after its first two convolutions, whose outputs come concatenated."""

    def __init__(self, block: C3) -> None:
        super().__init__()
        # What is left of a fused layer besides its convolution: the activation.
        self.act = nn.Sequential(*(m for name, m in block.conv1.named_children() if name != 'conv'))
        self.blocks, self.conv3 = block.blocks, block.conv3
        self.channels = [block.conv1.conv.out_channels, block.conv2.conv.out_channels]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        first, second = self.act(x).split(self.channels, 1)
        return self.conv3(torch.cat([self.blocks(first), second], 1))


def _c3(block: nn.Module) -> C3:
    assert isinstance(block, C3)
    return block


def _first_two(block: C3) -> tuple[torch.Tensor, torch.Tensor]:
    """Weight and bias of the two convolutions that read a C3's input, concatenated."""
    first, second = block.conv1.conv, block.conv2.conv
    return torch.cat([first.weight, second.weight]), torch.cat([first.bias, second.bias])


def _pointwise(weight: torch.Tensor, bias: torch.Tensor | None) -> nn.Conv2d:
    # On meta, as initial weights would be drawn from torch's generator and thrown away.
    conv = nn.Conv2d(weight.shape[1], weight.shape[0], 1, bias=bias is not None, device='meta')
    conv.weight = nn.Parameter(weight.contiguous(), requires_grad=False)
    if bias is not None:
        conv.bias = nn.Parameter(bias, requires_grad=False)
    return conv
