"""How a decoded frame is displayed: turned and mirrored as its container says."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np


def upright(frame: Any) -> np.ndarray:
    """RGB pixels of a PyAV frame as players show them, uint8 [H, W, 3].

    The display matrix is applied: four rotations, each of them mirrored or not. The pixels themselves are those stored,
    also where they are not square (`sample_aspect_ratio`).
    """
    return displayed(frame.to_ndarray(format='rgb24'), display_matrix(frame))


def displayed(image: np.ndarray, matrix: np.ndarray | None) -> np.ndarray:
    """An image [H, W, ...], turned and mirrored by a display matrix; an angle in between counts as the nearest turn.

    Args:
        image: As it is stored.
        matrix: int [9], rows (a, b, u), (c, d, v), (x, y, w) as in ISO 14496-12, 6.2.2: a stored pixel (x, y) is shown
            at (a x + c y, b x + d y), y downwards. None leaves the image as it is.
    """
    if matrix is None or not matrix[[0, 1, 3, 4]].any():
        return image
    a, b, c, d = matrix[[0, 1, 3, 4]].astype(np.int64)
    across, down = a, d
    if is_transposed(matrix):
        image, across, down = image.swapaxes(0, 1), c, b
    if across < 0:
        image = image[:, ::-1]
    if down < 0:
        image = image[::-1]
    return np.ascontiguousarray(image)


def is_transposed(matrix: np.ndarray | None) -> bool:
    """Whether a display matrix makes columns of the rows."""
    if matrix is None:
        return False
    a, b, c, d = np.abs(matrix[[0, 1, 3, 4]].astype(np.int64))
    return bool(b + c > a + d)


def pixel_aspect(stream: Any, frame: Any) -> Fraction:
    """Width of a displayed pixel, divided by its height; 1 if the stream does not say."""
    ratio = Fraction(stream.sample_aspect_ratio or 1)
    return 1 / ratio if is_transposed(display_matrix(frame)) else ratio


def display_matrix(frame: Any) -> np.ndarray | None:
    """The display matrix of a PyAV frame, int32 [9]; None if it has none."""
    try:
        return np.frombuffer(bytes(frame.side_data['DISPLAYMATRIX']), np.int32)
    except KeyError:
        return None
    except ValueError:
        # PyAV cannot list side data of a kind that it does not know.
        turns = round((getattr(frame, 'rotation', 0) or 0) / 90) % 4
        a, b = ((1, 0), (0, -1), (-1, 0), (0, 1))[turns]
        return np.array([a, b, 0, -b, a, 0, 0, 0, 1], np.int32)
