"""Default anchors."""

from __future__ import annotations

from collections.abc import Sequence

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
