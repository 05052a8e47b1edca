"""Which of a backbone's feature maps serve as C3, C4, C5, and how a missing level is made."""

from __future__ import annotations

import math
from collections.abc import Sequence
from enum import StrEnum
from fractions import Fraction
from typing import NamedTuple

import torch
from timm.layers import LayerNorm2d
from torch import nn
from torch.nn.functional import interpolate

from mbv3zoo.config.detector import STRIDES

# Channels of every level of the simple feature pyramid (ViTDet, section 3; as in FPN).
PYRAMID_CHANNELS = 256


class Route(StrEnum):
    """How a backbone provides C3, C4, C5.

    NATIVE: it has feature maps at the strides wanted: 8, 16 and 32, unless a layer list asks for others. COMPLETED: it
    has several strides, and each missing level is made from the nearest. SIMPLE_PYRAMID: it has a single stride; all
    levels are made from its last feature map.
    """

    NATIVE = 'native'
    COMPLETED = 'completed'
    SIMPLE_PYRAMID = 'simple pyramid'


class Level(NamedTuple):
    """One of C3, C4, C5: the index of the feature map it is made from, and how often that is upsampled by 2.

    `doublings` is negative for downsampling, and 0 for a feature map at (about) the level's stride.
    """

    map_index: int
    doublings: int


def choose_levels(
    reductions: Sequence[float | Fraction], strides: Sequence[int] | None = STRIDES
) -> tuple[Route, list[Level]]:
    """Chooses a feature map for each stride, by its reduction and not by its position.

    Args:
        reductions: Stride of each of the backbone's feature maps, in timm's order. Of several with the same stride the
            last, which is the deepest, is taken.
        strides: The strides wanted; None takes all feature maps as they are.

    Returns:
        The route, and one level per stride.
    """
    if strides is None:
        return Route.NATIVE, [Level(i, 0) for i in range(len(reductions))]
    distinct = set(reductions)
    route = Route.COMPLETED if len(distinct) > 1 else Route.SIMPLE_PYRAMID
    if set(strides) <= distinct:
        route = Route.NATIVE
    levels = []
    for stride in strides:
        nearest = min(distinct, key=lambda reduction: (abs(math.log2(reduction / stride)), reduction))
        last = max(i for i, reduction in enumerate(reductions) if reduction == nearest)
        levels.append(Level(last, round(math.log2(nearest / stride))))
    return route, levels


def make_level(in_channels: int, doublings: int, project: bool) -> tuple[nn.Module, int]:
    """Layers that make a level: ViTDet's simple feature pyramid (Li et al. 2022, arXiv 2203.16527, section 3).

    Upsampling by 2 is a 2x2 deconvolution of stride 2 that halves the channels, with LayerNorm and GELU between two of
    them; downsampling by 2 is a 2x2 max-pool of stride 2.

    Args:
        in_channels: Channels of the feature map.
        doublings: As in `Level`.
        project: End with the pyramid's 1x1 and 3x3 convolutions to 256 channels, each with LayerNorm.

    Returns:
        The layers, [B, in, H, W] -> [B, out, about H * 2 ** doublings, about W * 2 ** doublings]; and `out`.
    """
    layers: list[nn.Module] = [nn.MaxPool2d(2, ceil_mode=True) for _ in range(-doublings)]
    channels = in_channels
    for i in range(doublings):
        layers += [LayerNorm2d(channels), nn.GELU()] if i else []
        layers.append(nn.ConvTranspose2d(channels, channels // 2, 2, stride=2))
        channels //= 2
    if project:
        for kernel_size in (1, 3):
            convolution = nn.Conv2d(channels, PYRAMID_CHANNELS, kernel_size, padding=kernel_size // 2, bias=False)
            layers += [convolution, LayerNorm2d(PYRAMID_CHANNELS)]
            channels = PYRAMID_CHANNELS
    return nn.Sequential(*layers), channels


def resize(x: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """Bilinear interpolation, [B, C, H, W] -> [B, C, *size]; unchanged if it has that size."""
    return x if tuple(x.shape[2:]) == size else interpolate(x, size, mode='bilinear', align_corners=False)
