"""A light path aggregation neck: YOLOv5's PAN with cheaper layers where they cost AP least.

At stride 8, where most of the cells are, and on the way down, its 3x3 convolutions are depthwise separable ones of 5x5,
as in the CSP-PAN of PP-PicoDet (Yu et al., https://arxiv.org/abs/2111.00902, section 3.2). The coarser levels keep
theirs, which cost little there, and without which AP falls (docs/performance.md). SPPF pools a quarter of the channels.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from mbv3zoo.config.scaling import scale_depth
from mbv3zoo.models.layers import C3, SPPF, conv
from mbv3zoo.models.neck import PathAggregation

_KERNEL_SIZE = 5


class SeparableConv(nn.Module):
    """Depthwise 5x5, then 1x1 convolution, each with BatchNorm and activation; [B, C, H, W] -> [B, C, H / s, W / s].

    Howard et al., "MobileNets", https://arxiv.org/abs/1704.04861, section 3.1.
    """

    def __init__(self, channels: int, stride: int = 1, *, act: str) -> None:
        super().__init__()
        self.depthwise = conv(channels, channels, _KERNEL_SIZE, stride, groups=channels, act=act)
        self.pointwise = conv(channels, channels, act=act)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.pointwise(self.depthwise(x))


class SeparableC3(C3):
    """C3 with separable convolutions for bottlenecks; [B, in, H, W] -> [B, out, H, W]."""

    def _block(self, channels: int, shortcut: bool, groups: int, act: str) -> nn.Module:
        return SeparableConv(channels, act=act)


class LightPAN(PathAggregation):
    """A path aggregation neck with fewer operations than PAN.

    Args:
        in_channels: Number of channels of C3, C4, C5.
        depth_multiple, width_multiple: Compound scaling; widths 256, 512, 1024 and depth 3 before it.
        act: Activation function, by its name in timm.layers.
    """

    def __init__(
        self, in_channels: Sequence[int], depth_multiple: float, width_multiple: float, act: str = 'silu'
    ) -> None:
        super().__init__(width_multiple)
        c3, c4, c5 = in_channels
        p3, p4, p5 = self.out_channels
        depth = scale_depth(3, depth_multiple)

        # PAN pools half of C5's channels: 480 after MobileNetV3-Large, as costly as a stage of the backbone.
        self.sppf = SPPF(c5, p5, hidden_channels=p5 // 4, act=act)
        self.lateral5 = conv(p5, p4, act=act)
        self.top_down4 = C3(p4 + c4, p4, depth, shortcut=False, act=act)
        self.lateral4 = conv(p4, p3, act=act)
        self.top_down3 = SeparableC3(p3 + c3, p3, depth, act=act)
        self.down3 = SeparableConv(p3, stride=2, act=act)
        self.bottom_up4 = C3(p3 + p3, p4, depth, shortcut=False, act=act)
        self.down4 = SeparableConv(p4, stride=2, act=act)
        self.bottom_up5 = C3(p4 + p4, p5, depth, shortcut=False, act=act)
