"""Boxes in pixels of the image size that a label file states, and the size that the image has."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from mbv3zoo.images.read import SIDEWAYS

# Most that the factors of the two sides may differ by, whatever was rounded.
_MOST_UNEVEN = 1.1


class Placement(NamedTuple):
    """How boxes of a labelled frame come into the upright image.

    Attributes:
        scale: (x, y) factors into the frame that the file has.
        orientation: The EXIF orientation (5..8) that this frame is turned by; 1 leaves it.
    """

    scale: tuple[float, float] = (1, 1)
    orientation: int = 1


def placed(boxes: np.ndarray, scales: np.ndarray, orientations: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Boxes in pixels of their labelled frames, in pixels of the upright images.

    Args:
        boxes: float64 [N, 4] xyxy.
        scales: float64 [N, 2], and `orientations`, int64 [N]: the `Placement` of each.
        sizes: [N, 2], (height, width) of the upright image of each.

    Returns:
        float64 [N, 4] xyxy.
    """
    found = boxes * np.tile(scales, 2)
    for orientation in SIDEWAYS.intersection(orientations.tolist()):
        own = orientations == orientation
        # The frame lies on its side: it is as wide as the image is high.
        width, height = sizes[own].T
        x1, y1, x2, y2 = found[own].T
        if orientation in (6, 7):
            y1, y2 = height - y2, height - y1
        if orientation in (7, 8):
            x1, x2 = width - x2, width - x1
        found[own] = np.stack([y1, x1, y2, x2], 1)
    return found


def placement(stated: tuple[float, float], stored: tuple[int, int], orientation: int) -> Placement | None:
    """How boxes come from the stated frame into the upright image; None if the stated size is not the image's.

    It is the image's if it is the upright size, or that of the stored pixels where EXIF turns the image, or one of
    these scaled by one number, within a pixel of rounding.

    Args:
        stated: (width, height) of the labelled frame; 0 where it is not stated.
        stored: (width, height) of the file's pixels.
        orientation: The file's EXIF orientation, 1..8.
    """
    turned = orientation in SIDEWAYS
    upright = stored[::-1] if turned else stored
    if not all(stated) or stated == upright:
        return Placement()
    if turned and stated == stored:
        return Placement(orientation=orientation)
    if scale := _scale(stated, upright):
        return Placement(scale)
    if turned and (scale := _scale(stated, stored)):
        return Placement(scale, orientation)
    return None


def _scale(stated: tuple[float, float], size: tuple[int, int]) -> tuple[float, float] | None:
    """(x, y) factors from a stated to a real size; None if they are not one number."""
    if all(abs(own - real) <= 1 for own, real in zip(stated, size, strict=True)):
        return 1, 1
    # What is smaller was rounded.
    small, large = (size, stated) if size[0] <= stated[0] else (stated, size)
    lowest = max((side - 1) / other for side, other in zip(small, large, strict=True))
    highest = min((side + 1) / other for side, other in zip(small, large, strict=True))
    x, y = size[0] / stated[0], size[1] / stated[1]
    # A pixel is much of a small side.
    return (x, y) if lowest <= highest and max(x, y) <= _MOST_UNEVEN * min(x, y) else None
