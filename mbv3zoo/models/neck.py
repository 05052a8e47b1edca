"""Path aggregation necks (Liu et al., "Path Aggregation Network", arXiv 1803.01534), and PAN, that of YOLOv5 v6.0."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn.functional import interpolate

from mbv3zoo.config.detector import STRIDES
from mbv3zoo.config.scaling import scale_depth, scale_width
from mbv3zoo.models.layers import C3, SPPF, conv


class PathAggregation(nn.Module):
    """C3, C4, C5 at strides 8, 16, 32 -> P3, P4, P5 at the same strides: top down, then bottom up.

    Subclasses set the layers.

    Args:
        width_multiple: Compound scaling of the widths 256, 512, 1024.

    Attributes:
        out_channels: Number of channels of P3, P4, P5.
        strides: Their strides, in input pixels per cell.
    """

    strides = STRIDES
    sppf: nn.Module
    lateral5: nn.Module
    top_down4: nn.Module
    lateral4: nn.Module
    top_down3: nn.Module
    down3: nn.Module
    bottom_up4: nn.Module
    down4: nn.Module
    bottom_up5: nn.Module

    def __init__(self, width_multiple: float) -> None:
        super().__init__()
        self.out_channels = [scale_width(channels, width_multiple) for channels in (256, 512, 1024)]

    def forward(self, features: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        c3, c4, c5 = features
        lateral5 = self.lateral5(self.sppf(c5))
        lateral4 = self.lateral4(self.top_down4(torch.cat([interpolate(lateral5, scale_factor=2), c4], 1)))
        p3 = self.top_down3(torch.cat([interpolate(lateral4, scale_factor=2), c3], 1))
        p4 = self.bottom_up4(torch.cat([self.down3(p3), lateral4], 1))
        p5 = self.bottom_up5(torch.cat([self.down4(p4), lateral5], 1))
        return [p3, p4, p5]


class PAN(PathAggregation):
    """YOLOv5's neck.

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

        self.sppf = SPPF(c5, p5, act=act)
        self.lateral5 = conv(p5, p4, act=act)
        self.top_down4 = C3(p4 + c4, p4, depth, shortcut=False, act=act)
        self.lateral4 = conv(p4, p3, act=act)
        self.top_down3 = C3(p3 + c3, p3, depth, shortcut=False, act=act)
        self.down3 = conv(p3, p3, 3, stride=2, act=act)
        self.bottom_up4 = C3(p3 + p3, p4, depth, shortcut=False, act=act)
        self.down4 = conv(p4, p4, 3, stride=2, act=act)
        self.bottom_up5 = C3(p4 + p4, p5, depth, shortcut=False, act=act)
