"""A one-to-one branch: of all anchors that see an object one says so, and no NMS is needed.

Boxes and classes are the head's. Only objectness is learned anew, by a few small convolutions on the neck's features,
as by the positive sample selector of Zhou et al., "Object Detection Made Simpler by Eliminating Heuristic NMS",
https://arxiv.org/abs/2101.11782, section 3.1. Its gradient ends at the features, so that the rest of the detector is
trained as it would be without it, and it is computed only where it is asked for.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn.functional import interpolate, max_pool2d

from mbv3zoo.models.head import DetectHead
from mbv3zoo.models.layers import conv
from mbv3zoo.models.light_pan import SeparableConv

_CHANNELS = 32


class OneToOneBranch(nn.Module):
    """Features of the neck -> objectness of which one anchor for each object is high.

    Each level is narrowed to a few channels and gets those of the next finer and the next coarser one, as the anchors
    that see one object lie on several levels; then a depthwise 5x5 convolution compares neighbours.

    Args:
        in_channels: Channels of each level.
        num_anchors: Anchors per cell, A.
        strides: Stride of each level, in input pixels per cell; each is a multiple of the one before.
        act: Activation function, by its name in timm.layers.

    Returns (forward):
        One tensor per level, [B, A, H, W]: logits.
    """

    def __init__(self, in_channels: Sequence[int], num_anchors: int, strides: Sequence[int], act: str) -> None:
        super().__init__()
        self.factors = [after // before for before, after in zip(strides, strides[1:], strict=False)]
        self.narrow = nn.ModuleList(conv(channels, _CHANNELS, act=act) for channels in in_channels)
        self.compare = nn.ModuleList(SeparableConv(_CHANNELS, act=act) for _ in in_channels)
        self.convs = nn.ModuleList(nn.Conv2d(_CHANNELS, num_anchors, 1) for _ in in_channels)
        for layer, stride in zip(self.convs, strides, strict=True):
            assert isinstance(layer, nn.Conv2d) and layer.bias is not None
            nn.init.constant_(layer.bias, DetectHead.objectness_prior(stride))

    def forward(self, features: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        return [layer(x) for layer, x in zip(self.convs, self.compared(features), strict=True)]

    def compared(self, features: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        """What the last convolutions take: one tensor per level."""
        narrow = [layer(x) for layer, x in zip(self.narrow, features, strict=True)]
        found = []
        for level, x in enumerate(narrow):
            if level:
                x = x + max_pool2d(narrow[level - 1], self.factors[level - 1])
            if level + 1 < len(narrow):
                x = x + interpolate(narrow[level + 1], scale_factor=self.factors[level])
            found.append(self.compare[level](x))
        return found


def with_objectness(logits: Sequence[torch.Tensor], objectness: Sequence[torch.Tensor]) -> list[torch.Tensor]:
    """Logits [B, A, H, W, 5 + K] per level with another objectness, [B, A, H, W] per level."""
    return [
        torch.cat([level[..., :4], own.unsqueeze(4), level[..., 5:]], 4)
        for level, own in zip(logits, objectness, strict=True)
    ]
