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

from mbv3zoo.models.layers import conv
from mbv3zoo.models.light_pan import SeparableConv
from mbv3zoo.models.priors import objectness_prior

_CHANNELS = 32
# How much lower than its rival an anchor gets, as a multiple of what it is lower by. More makes the score of the best a
# worse measure of its box (docs/recipe.md).
_SHARPNESS = 4


class OneToOneBranch(nn.Module):
    """Features of the neck -> objectness of which one anchor for each object is high.

    Each level is narrowed to a few channels and gets those of the next finer and the next coarser one, as the anchors
    that see one object lie on several levels; a depthwise 5x5 convolution compares neighbours. What it gives an anchor
    is then lowered by how far it lies under the highest of its rivals: the anchors of the 3x3 cells around it, and
    those of the same place on the next levels (as the 3D max filter of Wang et al., "End-to-End Object Detection with
    Fully Convolutional Network", https://arxiv.org/abs/2012.03544, section 3.3, but with its own logits).

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
            nn.init.constant_(layer.bias, objectness_prior(stride))

    def forward(self, features: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        narrow = [layer(x) for layer, x in zip(self.narrow, features, strict=True)]
        mixed = [sum(near, x) for x, near in zip(narrow, self._of_next_levels(narrow), strict=True)]
        logits = [last(compare(x)) for last, compare, x in zip(self.convs, self.compare, mixed, strict=True)]
        best = [level.amax(1, keepdim=True) for level in logits]
        found = []
        for level, own, near in zip(logits, best, self._of_next_levels(best), strict=True):
            rival = max_pool2d(own, 3, stride=1, padding=1)
            for other in near:
                rival = torch.maximum(rival, other)
            found.append((1 + _SHARPNESS) * level - _SHARPNESS * rival)
        return found

    def _of_next_levels(self, levels: Sequence[torch.Tensor]) -> list[list[torch.Tensor]]:
        """For each level what the next finer and the next coarser one have at its cells, [B, C, H, W] each."""
        found: list[list[torch.Tensor]] = [[] for _ in levels]
        for index, factor in enumerate(self.factors):
            found[index].append(interpolate(levels[index + 1], scale_factor=factor))
            found[index + 1].append(max_pool2d(levels[index], factor))
        return found


def with_objectness(logits: Sequence[torch.Tensor], objectness: Sequence[torch.Tensor]) -> list[torch.Tensor]:
    """Logits [B, A, H, W, 5 + K] per level with another objectness, [B, A, H, W] per level."""
    return [
        torch.cat([level[..., :4], own.unsqueeze(4), level[..., 5:]], 4)
        for level, own in zip(logits, objectness, strict=True)
    ]
