"""GhostNet's blocks (Han et al., arXiv 1911.11907), as in YOLOv5."""

from __future__ import annotations

import torch
from torch import nn

from mbv3zoo.models.layers import C3, conv, depthwise_conv


class GhostConv(nn.Module):
    """A convolution to half of the channels, and a 5x5 depthwise convolution of these for the other half.

    [B, in, H, W] -> [B, out, H / stride, W / stride].
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int = 1,
        stride: int = 1,
        groups: int = 1,
        apply_act: bool = True,
        *,
        act: str = 'silu',
    ) -> None:
        super().__init__()
        hidden = out_channels // 2
        self.conv1 = conv(in_channels, hidden, kernel_size, stride, None, groups, 1, apply_act, act=act)
        self.conv2 = depthwise_conv(hidden, hidden, 5, 1, 1, apply_act, act=act)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.conv1(x)
        return torch.cat([x, self.conv2(x)], 1)


class GhostBottleneck(nn.Module):
    """Two GhostConvs with a shortcut; [B, in, H, W] -> [B, out, H / stride, W / stride], stride 1 or 2.

    At stride 1, `in_channels` must equal `out_channels`.
    """

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: int = 3, stride: int = 1, *, act: str = 'silu'
    ) -> None:
        super().__init__()
        hidden = out_channels // 2
        down: nn.Module = nn.Identity()
        shortcut: nn.Module = nn.Identity()
        if stride == 2:
            down = depthwise_conv(hidden, hidden, kernel_size, 2, apply_act=False, act=act)
            shortcut = nn.Sequential(
                depthwise_conv(in_channels, in_channels, kernel_size, 2, apply_act=False, act=act),
                conv(in_channels, out_channels, apply_act=False, act=act),
            )
        self.conv = nn.Sequential(
            GhostConv(in_channels, hidden, act=act), down, GhostConv(hidden, out_channels, apply_act=False, act=act)
        )
        self.shortcut = shortcut

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.conv(x) + self.shortcut(x)


class C3Ghost(C3):
    """C3 with GhostBottlenecks, which always have a shortcut; [B, in, H, W] -> [B, out, H, W]."""

    def _block(self, channels: int, shortcut: bool, groups: int, act: str) -> nn.Module:
        return GhostBottleneck(channels, channels, act=act)
