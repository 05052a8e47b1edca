"""A path aggregation neck's graph with fewer multiplications, the same numbers but for rounding.

A 1x1 convolution and an upsampling to the nearest cell may change places: the share of it that reads the coarse map
runs before, on a quarter of the cells, and the concatenation becomes a sum. The two 1x1 convolutions of a C3 read one
map, and are one. What this saves is in docs/performance.md.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn.functional import interpolate

from mbv3zoo.models.layers import C3
from mbv3zoo.models.neck import PathAggregation

_BLOCKS = ('top_down4', 'top_down3', 'bottom_up4', 'bottom_up5')


def deployed_neck(neck: nn.Module) -> nn.Module:
    """A neck for an exported graph: faster if it is a path aggregation neck of C3 blocks, else as it is."""
    has_c3 = isinstance(neck, PathAggregation) and all(isinstance(getattr(neck, name), C3) for name in _BLOCKS)
    return DeployedPAN(neck) if has_c3 else neck


class DeployedPAN(nn.Module):
    """A folded path aggregation neck; C3, C4, C5 -> P3, P4, P5, as its.

    Args:
        neck: The neck, its norms folded. Its layers are shared, not copied.
    """

    def __init__(self, neck: PathAggregation) -> None:
        super().__init__()
        self.sppf, self.lateral5, self.lateral4 = neck.sppf, neck.lateral5, neck.lateral4
        self.down3, self.down4 = neck.down3, neck.down4
        self.top_down4 = _UpsampledC3(neck.top_down4, neck.out_channels[1])
        self.top_down3 = _UpsampledC3(neck.top_down3, neck.out_channels[0])
        self.bottom_up4, self.bottom_up5 = _MergedC3(neck.bottom_up4), _MergedC3(neck.bottom_up5)

    def forward(self, features: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        c3, c4, c5 = features
        lateral5 = self.lateral5(self.sppf(c5))
        lateral4 = self.lateral4(self.top_down4(lateral5, c4))
        p3 = self.top_down3(lateral4, c3)
        p4 = self.bottom_up4(torch.cat([self.down3(p3), lateral4], 1))
        p5 = self.bottom_up5(torch.cat([self.down4(p4), lateral5], 1))
        return [p3, p4, p5]


class _MergedC3(nn.Module):
    """A C3 whose first two convolutions are one; [B, in, H, W] -> [B, out, H, W]."""

    def __init__(self, block: C3) -> None:
        super().__init__()
        self.conv = _pointwise(*_first_two(block))
        self.rest = _Rest(block)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.rest(self.conv(x))


class _UpsampledC3(nn.Module):
    """A C3 on a coarse map, upsampled twofold, beside a fine one.

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
    """What a C3 does behind its first two convolutions, whose channels come side by side."""

    def __init__(self, block: C3) -> None:
        super().__init__()
        # Of a folded layer its activation.
        self.act = nn.Sequential(*(m for name, m in block.conv1.named_children() if name != 'conv'))
        self.blocks, self.conv3 = block.blocks, block.conv3

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        first, second = self.act(x).chunk(2, 1)
        return self.conv3(torch.cat([self.blocks(first), second], 1))


def _first_two(block: C3) -> tuple[torch.Tensor, torch.Tensor]:
    """Weight and bias of the two convolutions that read a C3's input, as of one."""
    first, second = block.conv1.conv, block.conv2.conv
    return torch.cat([first.weight, second.weight]), torch.cat([first.bias, second.bias])


def _pointwise(weight: torch.Tensor, bias: torch.Tensor | None) -> nn.Conv2d:
    # Without storage, as its own weights would be drawn, from torch's generator, and thrown away.
    conv = nn.Conv2d(weight.shape[1], weight.shape[0], 1, bias=bias is not None, device='meta')
    conv.weight = nn.Parameter(weight.contiguous(), requires_grad=False)
    if bias is not None:
        conv.bias = nn.Parameter(bias, requires_grad=False)
    return conv
