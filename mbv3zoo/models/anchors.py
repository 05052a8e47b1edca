"""Default anchors, and the order of levels that anchors are given in."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from mbv3zoo.config.detector import DEFAULT_ANCHORS, STRIDES
from mbv3zoo.config.types import LevelAnchors


def default_anchors(strides: Sequence[int], count: int) -> LevelAnchors:
    """Anchors for levels that nobody gave any; training fits others where these do not suit its boxes.

    Args:
        strides: Stride of each level, in input pixels per cell.
        count: Anchors per level.

    Returns:
        YOLOv5's own for three anchors at strides 8, 16 and 32. Else squares of about 2 to 6 cells a side, equally far
        apart in ratio.
    """
    if tuple(strides) == STRIDES and count == len(DEFAULT_ANCHORS[0]):
        return DEFAULT_ANCHORS
    sides = [2 * 3 ** ((i + 0.5) / count) for i in range(count)]
    return tuple(tuple((round(side * stride, 1),) * 2 for side in sides) for stride in strides)


def turned(anchors: LevelAnchors) -> LevelAnchors:
    """The anchors of a layer list as YOLOv5 takes them: if the last level's are smaller than the first's, reversed.

    Args:
        anchors: Per level (width, height) in pixels. What counts is the mean area of a level's anchors.
    """
    areas = _areas(anchors)
    return anchors[::-1] if areas[-1] < areas[0] else anchors


def out_of_order(anchors: LevelAnchors | int, strides: Sequence[int]) -> str | None:
    """A sentence where a coarser level has smaller anchors than the finer one before it, which is rarely meant.

    Args:
        anchors: Per level (width, height) in pixels; a number of default anchors is always in order.
        strides: Stride of each level, finest first, in input pixels per cell.
    """
    if isinstance(anchors, int):
        return None
    levels = pairwise(zip(_areas(anchors), strides, strict=True))
    found = next((pair for pair in levels if pair[1][0] < pair[0][0]), None)
    if found is None:
        return None
    (_, finer), (_, coarser) = found
    return (
        f'the anchors at stride {coarser} are smaller than those at stride {finer}; they are kept as given, one list '
        f'for each of the strides {", ".join(map(str, strides))}, in this order'
    )


def _areas(anchors: LevelAnchors) -> list[float]:
    """Mean area of each level's anchors, in square pixels."""
    return [sum(width * height for width, height in level) / len(level) for level in anchors]
