"""The blocks of YOLOv5's neck, on timm's ConvNormAct (architecture: YOLOv5 v6.0)."""

from __future__ import annotations

from functools import partial

import torch
from timm.layers import ConvNormAct, get_act_layer
from torch import nn

# YOLOv5 trains every BatchNorm of its network with these.
NORM_LAYER = partial(nn.BatchNorm2d, eps=1e-3, momentum=0.03)


def conv(in_channels: int, out_channels: int, kernel_size: int = 1, stride: int = 1, act: str = 'silu') -> ConvNormAct:
    """Convolution without bias, BatchNorm, activation; [B, in, H, W] -> [B, out, H / stride, W / stride]."""
    try:
        act_layer = get_act_layer(act)
    except KeyError:
        raise ValueError(
            f'unknown activation {act!r}: timm.layers has none such; take silu, relu, hard_swish'
        ) from None
    return ConvNormAct(in_channels, out_channels, kernel_size, stride, norm_layer=NORM_LAYER, act_layer=act_layer)


class Bottleneck(nn.Module):
    """1x1 then 3x3 convolution, with a shortcut where asked; [B, C, H, W] -> the same shape."""

    def __init__(self, channels: int, shortcut: bool = True, act: str = 'silu') -> None:
        super().__init__()
        self.conv1 = conv(channels, channels, 1, act=act)
        self.conv2 = conv(channels, channels, 3, act=act)
        self.shortcut = shortcut

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.conv2(self.conv1(x))
        return x + y if self.shortcut else y


class C3(nn.Module):
    """Cross-stage partial block with three convolutions and `depth` bottlenecks; [B, in, H, W] -> [B, out, H, W]."""

    def __init__(
        self, in_channels: int, out_channels: int, depth: int = 1, shortcut: bool = True, act: str = 'silu'
    ) -> None:
        super().__init__()
        hidden = out_channels // 2
        self.conv1 = conv(in_channels, hidden, act=act)
        self.conv2 = conv(in_channels, hidden, act=act)
        self.conv3 = conv(2 * hidden, out_channels, act=act)
        self.blocks = nn.Sequential(*(Bottleneck(hidden, shortcut, act) for _ in range(depth)))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.conv3(torch.cat([self.blocks(self.conv1(x)), self.conv2(x)], 1))


class SPPF(nn.Module):
    """Spatial pyramid pooling, fast: three 5x5 max-pools in a chain; [B, in, H, W] -> [B, out, H, W]."""

    def __init__(self, in_channels: int, out_channels: int, act: str = 'silu') -> None:
        super().__init__()
        hidden = in_channels // 2
        self.conv1 = conv(in_channels, hidden, act=act)
        self.conv2 = conv(4 * hidden, out_channels, act=act)
        self.pool = nn.MaxPool2d(5, stride=1, padding=2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.conv1(x)
        y1 = self.pool(x)
        y2 = self.pool(y1)
        return self.conv2(torch.cat([x, y1, y2, self.pool(y2)], 1))
