"""Default anchors, and the order of levels that anchors are given in."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from mbv3zoo.config.detector import DEFAULT_ANCHORS, STRIDES, DetectorConfig
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


def level_anchors(config: DetectorConfig, strides: Sequence[int]) -> LevelAnchors:
    """A config's anchors, the default ones where it says only how many; for levels at `strides`."""
    return default_anchors(strides, config.anchors) if isinstance(config.anchors, int) else config.anchors


def turned(anchors: LevelAnchors) -> LevelAnchors:
    """The anchors of a layer list as YOLOv5 takes them: if the last level's are smaller than the first's, reversed.

    Args:
        anchors: Per level (width, height) in pixels. What counts is the mean area of a level's anchors.
    """
    areas = _areas(anchors)
    return anchors[::-1] if areas[-1] < areas[0] else anchors


def doubt(anchors: LevelAnchors | int, strides: Sequence[int], image_size: tuple[int, int]) -> str | None:
    """A sentence about anchors that are taken as they are given and are rarely meant so; None for others.

    Args:
        anchors: Per level (width, height) in pixels; a number of default anchors is always right.
        strides: Stride of each level, finest first, in input pixels per cell.
        image_size: (height, width) of the network's input in pixels.
    """
    if isinstance(anchors, int) or anchors == DEFAULT_ANCHORS:
        return None
    levels = pairwise(zip(_areas(anchors), strides, strict=True))
    if pair := next((pair for pair in levels if pair[1][0] < pair[0][0]), None):
        return (
            f'the anchors at stride {pair[1][1]} are smaller than those at stride {pair[0][1]}; one list is taken for '
            f'each of the strides {", ".join(map(str, strides))}, in this order'
        )
    longest = max(max(pair) for pair in anchors[-1])
    if longest < strides[-1] / 2:
        return (
            f'the anchors at stride {strides[-1]} have at most {longest:g} pixels, less than half a cell; anchors are '
            "given in pixels of the network's input, not in cells"
        )
    if (shorter := max(min(pair) for pair in anchors[-1])) > 4 * max(image_size):
        return (
            f'the anchors at stride {strides[-1]} have up to {shorter:g} pixels on a side, where images have '
            f"{image_size[0]} x {image_size[1]}; anchors are given in pixels of the network's input"
        )
    return None


def _areas(anchors: LevelAnchors) -> list[float]:
    """Mean area of each level's anchors, in square pixels."""
    return [sum(width * height for width, height in level) / len(level) for level in anchors]
