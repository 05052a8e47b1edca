"""Refuses boxes that are not [x, y, width, height] in pixels but look like something else: they would be wrong."""

from __future__ import annotations

from pathlib import Path

import numpy as np

# Fewest boxes to tell that they are not [x, y, width, height]; and fewest where every one of them says so.
_ENOUGH_BOXES, _ENOUGH_CLEAR = 10, 3


def check_units(source: str | Path, boxes: np.ndarray, sides: np.ndarray) -> None:
    """Refuses boxes that are shares of the sides.

    Args:
        source: Named in the message.
        boxes: [N, 4] as written.
        sides: [N, 2], (width, height) of the frame of each.

    Raises:
        ValueError: They are.
    """
    # Pixels of an image this small may be meant.
    if (sides > 2).all() and ((boxes >= 0) & (boxes <= 1)).all():
        raise ValueError(
            f'{source}: all of its {len(boxes)} boxes lie between 0 and 1, such as {boxes[0].tolist()}; they '
            "look like shares of the image's sides, and pixels are expected. Save a copy with boxes in pixels"
        )


def check_is_xywh(source: str | Path, boxes: np.ndarray, sides: np.ndarray, areas: np.ndarray) -> None:
    """Refuses boxes that are [x1, y1, x2, y2], as some files have them.

    Args:
        source, boxes, sides: As for `check_units`.
        areas: [N] as stated, in square pixels; NaN where none is.

    Raises:
        ValueError: They are.
    """
    leaves = (boxes[:, :2] + boxes[:, 2:] > sides + 1).any(1)
    if not ((boxes[:, 2:] > boxes[:, :2]) & (boxes[:, 2:] <= sides + 1)).all():
        return
    advice = 'they look like [x1, y1, x2, y2]. Save a copy with converted boxes, and give that'
    read = f'{source}: read as [x, y, width, height],'
    many = len(boxes) >= _ENOUGH_BOXES and leaves.mean() > 0.5
    if many or (len(boxes) >= _ENOUGH_CLEAR and leaves.all()):
        raise ValueError(f'{read} {int(leaves.sum())} of {len(boxes)} boxes leave their picture; {advice}')
    of_corners = (boxes[:, 2:] - boxes[:, :2]).prod(1)
    # Both within rounding; NaN is neither. No box here is empty.
    told = (np.abs(areas / of_corners - 1) < 0.01) & (np.abs(areas / boxes[:, 2:].prod(1) - 1) > 0.01)
    if len(boxes) >= _ENOUGH_CLEAR and told.all():
        raise ValueError(f'{read} none of {len(boxes)} boxes has the area that is stated for it; {advice}')
