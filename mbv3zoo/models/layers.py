"""YOLOv5's blocks (v6.0), on timm's ConvNormAct."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial

import torch
from timm.layers import ConvNormAct
from torch import nn

from mbv3zoo.models.activations import activation_layer

# YOLOv5 trains every BatchNorm of its network with these.
NORM_LAYER = partial(nn.BatchNorm2d, eps=1e-3, momentum=0.03)


def conv(
    in_channels: int,
    out_channels: int,
    kernel_size: int = 1,
    stride: int = 1,
    padding: int | None = None,
    groups: int = 1,
    dilation: int = 1,
    apply_act: bool = True,
    *,
    act: str = 'silu',
) -> ConvNormAct:
    """Convolution without bias, BatchNorm, activation; [B, in, H, W] -> [B, out, H / stride, W / stride].

    Args:
        in_channels, out_channels: Channels.
        kernel_size, stride, groups, dilation: Of the convolution.
        padding: On each side; None is half the kernel, rounded down.
        apply_act: Whether the activation follows.
        act: The activation; see `mbv3zoo.models.activations`.

    Raises:
        TypeError: The kernel is not square.
    """
    if not isinstance(kernel_size, int):
        raise TypeError(f'kernel_size must be one whole number, given {kernel_size!r}')
    return ConvNormAct(
        in_channels,
        out_channels,
        kernel_size,
        stride,
        padding=(dilation * (kernel_size - 1) + 1) // 2 if padding is None else padding,
        dilation=dilation,
        groups=groups,
        apply_act=apply_act,
        norm_layer=NORM_LAYER,
        act_layer=activation_layer(act),
    )


def depthwise_conv(
    in_channels: int,
    out_channels: int,
    kernel_size: int = 1,
    stride: int = 1,
    dilation: int = 1,
    apply_act: bool = True,
    *,
    act: str = 'silu',
) -> ConvNormAct:
    """As `conv`, with gcd(in_channels, out_channels) groups: depthwise where the two are equal."""
    groups = math.gcd(in_channels, out_channels)
    return conv(in_channels, out_channels, kernel_size, stride, None, groups, dilation, apply_act, act=act)


class Bottleneck(nn.Module):
    """1x1 then 3x3 convolution, with a shortcut if in_channels == out_channels; [B, in, H, W] -> [B, out, H, W]."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        shortcut: bool = True,
        groups: int = 1,
        expansion: float = 0.5,
        *,
        act: str = 'silu',
    ) -> None:
        super().__init__()
        hidden = int(out_channels * expansion)
        self.conv1 = conv(in_channels, hidden, 1, act=act)
        self.conv2 = conv(hidden, out_channels, 3, groups=groups, act=act)
        self.shortcut = shortcut and in_channels == out_channels

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.conv2(self.conv1(x))
        return x + y if self.shortcut else y


class C3(nn.Module):
    """Cross-stage partial block with three convolutions and `depth` bottlenecks; [B, in, H, W] -> [B, out, H, W]."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        depth: int = 1,
        shortcut: bool = True,
        groups: int = 1,
        expansion: float = 0.5,
        *,
        act: str = 'silu',
    ) -> None:
        super().__init__()
        hidden = int(out_channels * expansion)
        self.conv1 = conv(in_channels, hidden, act=act)
        self.conv2 = conv(in_channels, hidden, act=act)
        self.conv3 = conv(2 * hidden, out_channels, act=act)
        self.blocks = nn.Sequential(*(self._block(hidden, shortcut, groups, act) for _ in range(depth)))

    def _block(self, channels: int, shortcut: bool, groups: int, act: str) -> nn.Module:
        return Bottleneck(channels, channels, shortcut, groups, 1.0, act=act)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.conv3(torch.cat([self.blocks(self.conv1(x)), self.conv2(x)], 1))


class SPP(nn.Module):
    """Spatial pyramid pooling (arXiv 1406.4729): parallel max-pools; [B, in, H, W] -> [B, out, H, W]."""

    def __init__(
        self, in_channels: int, out_channels: int, kernel_sizes: Sequence[int] = (5, 9, 13), *, act: str = 'silu'
    ) -> None:
        super().__init__()
        hidden = in_channels // 2
        self.conv1 = conv(in_channels, hidden, act=act)
        self.conv2 = conv((len(kernel_sizes) + 1) * hidden, out_channels, act=act)
        self.pools = nn.ModuleList(nn.MaxPool2d(size, stride=1, padding=size // 2) for size in kernel_sizes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.conv1(x)
        return self.conv2(torch.cat([x, *(pool(x) for pool in self.pools)], 1))


class SPPF(nn.Module):
    """Spatial pyramid pooling, fast: three max-pools in sequence; [B, in, H, W] -> [B, out, H, W].

    Args:
        in_channels, out_channels: Channels.
        kernel_size: Of each pool.
        hidden_channels: Channels that are pooled; `in_channels // 2` by default.
        act: The activation; see `mbv3zoo.models.activations`.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int = 5,
        *,
        hidden_channels: int | None = None,
        act: str = 'silu',
    ) -> None:
        super().__init__()
        hidden = in_channels // 2 if hidden_channels is None else hidden_channels
        self.conv1 = conv(in_channels, hidden, act=act)
        self.conv2 = conv(4 * hidden, out_channels, act=act)
        self.pool = nn.MaxPool2d(kernel_size, stride=1, padding=kernel_size // 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.conv1(x)
        y1 = self.pool(x)
        y2 = self.pool(y1)
        return self.conv2(torch.cat([x, y1, y2, self.pool(y2)], 1))
