"""Peaks of the scores, in place of NMS: of neighbouring anchors that see an object, the best is left."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch.nn.functional import interpolate, max_pool2d

# What an anchor's objectness gets off that is not the best: less than a 100 millionth of its score is left.
_LOWERED = 20.0
# Makes a large difference of a small one, twice in turn: float16, in which some runtimes compute, has no larger power.
_STEEP = 1e4
# Scores that differ by less are as good as equal, and both are left: what is the same in all cells, such as the border
# around a picture, gives equal scores but for rounding.
_EQUAL = 1e-5


def only_peaks(
    maps: Sequence[torch.Tensor], num_anchors: int, strides: Sequence[int], shared_classes: bool
) -> list[torch.Tensor]:
    """A head's maps in which a threshold is enough: beside the best box of an object all others have a low objectness.

    Of the anchors of a cell the one of the highest score, objectness times class, is left, and only where no cell
    around has a higher score of that class: none of the 8 cells beside it, and none at its place on the next finer and
    the next coarser level. Zhou et al., "Objects as Points", https://arxiv.org/abs/1904.07850, section 4, find centres
    so, and Wang et al., "End-to-End Object Detection with Fully Convolutional Network",
    https://arxiv.org/abs/2012.03544, section 3.3, compare levels. Nothing is learned. docs/recipe.md has its AP.

    Args:
        maps: [B, A * (5 + K), H, W] per level, finest first, those of an anchor together (`Head.layers`).
        num_anchors: Anchors per cell, A.
        strides: Stride of each level, in input pixels per cell; each is a multiple of the one before.
        shared_classes: Whether the anchors of a cell have the same classes, which is then made use of.

    Returns:
        The same, with the objectness of all other anchors lowered by 20.
    """
    levels = [[x.split([4, 1, x.shape[1] - 5], 1) for x in level.chunk(num_anchors, 1)] for level in maps]
    best, tops = [], []
    for level in levels:
        objectness = [x.sigmoid() for _, x, _ in level]
        if shared_classes:
            classes = level[0][2].sigmoid()
            likeliest = classes.amax(1, keepdim=True)
            best.append(_highest(objectness) * classes)
            tops.append([x * likeliest for x in objectness])
        else:
            scores = [x * classes.sigmoid() for x, (_, _, classes) in zip(objectness, level, strict=True)]
            best.append(_highest(scores))
            tops.append([x.amax(1, keepdim=True) for x in scores])
    found = []
    for level, own, own_tops, near in zip(levels, best, tops, _of_next_levels(best, strides), strict=True):
        rival = _highest([max_pool2d(own, 3, stride=1, padding=1), *near])
        # Arithmetic in place of comparisons, which not all runtimes have: `left` is `top` where its class is a peak.
        left = (own - _STEEP * _above(rival, own)).amax(1, keepdim=True)
        top = _highest(own_tops)
        parts = []
        for (box, objectness, classes), own_top in zip(level, own_tops, strict=True):
            below = (_STEEP * (_above(top, left) + _above(top, own_top))).clamp(max=_LOWERED)
            parts += [box, objectness - (_STEEP * below).clamp(max=_LOWERED), classes]
        found.append(torch.cat(parts, 1))
    return found


def _highest(tensors: Sequence[torch.Tensor]) -> torch.Tensor:
    highest = tensors[0]
    for other in tensors[1:]:
        highest = torch.maximum(highest, other)
    return highest


def _above(highest: torch.Tensor, score: torch.Tensor) -> torch.Tensor:
    """By how much one is higher than the other and no equal."""
    return (highest - score - _EQUAL).clamp(min=0)


def _of_next_levels(levels: Sequence[torch.Tensor], strides: Sequence[int]) -> list[list[torch.Tensor]]:
    """For each level what the next finer and the next coarser one have at its cells, [B, C, H, W] each."""
    found: list[list[torch.Tensor]] = [[] for _ in levels]
    for index, (stride, coarser) in enumerate(zip(strides, strides[1:], strict=False)):
        factor = coarser // stride
        found[index].append(interpolate(levels[index + 1], scale_factor=factor))
        found[index + 1].append(max_pool2d(levels[index], factor))
    return found
