"""Where the captions of boxes go: where they hide least."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

# What a caption costs that hides another one, all of another box, or all of its own; and how much worse each of its
# places is than the one before it.
_CAPTION, _OTHER, _OWN, _STEP = 4.0, 2.0, 1.0, 0.02


def place_captions(
    boxes: Sequence[Sequence[float]], sizes: Sequence[tuple[int, int]], canvas: tuple[int, int]
) -> list[tuple[int, int]]:
    """Chooses a place for each caption; the last box, which is on top, chooses first.

    Places are above, below, inside and beside the box, each moved as far as it takes to lie inside the image. The one
    that hides the least is taken: of captions that have their place, of other boxes and of its own. The first, above
    the box's left end, is taken where nothing is in its way.

    Args:
        boxes: N times xyxy in pixels.
        sizes: (width, height) of each caption in pixels.
        canvas: (width, height) of the image.

    Returns:
        (left, top) of each caption in pixels.
    """
    objects = np.array(boxes, np.float64).reshape(-1, 4)
    areas = np.maximum(_area(objects), 1)
    captions = np.zeros((len(objects), 4))
    for index in reversed(range(len(objects))):
        places = _places(objects[index], sizes[index], canvas)
        share = _overlap(places, objects) / areas
        own = share[:, index].copy()
        share[:, index] = 0
        hidden = _overlap(places, captions[index + 1 :]).sum(1) / max(1, sizes[index][0] * sizes[index][1])
        cost = _CAPTION * hidden + _OTHER * share.sum(1) + _OWN * own + _STEP * np.arange(len(places))
        captions[index] = places[cost.argmin()]
    return [(int(left), int(top)) for left, top, _, _ in captions]


def _places(box: np.ndarray, size: tuple[int, int], canvas: tuple[int, int]) -> np.ndarray:
    """The places [P, 4] of a caption, the most usual first."""
    (left, top, right, bottom), (width, height) = box, size
    corners = [
        (left, top - height),
        (right - width, top - height),
        (left, bottom),
        (right - width, bottom),
        (left, top),
        (right - width, top),
        (left, bottom - height),
        (right - width, bottom - height),
        (right, top),
        (left - width, top),
        (right, bottom - height),
        (left - width, bottom - height),
    ]
    most = np.maximum(0, np.array(canvas) - size)
    inside = np.clip(np.round(corners), 0, most)
    return np.concatenate([inside, inside + size], 1)


def _overlap(places: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Areas [P, N] that places [P, 4] and others [N, 4] share."""
    sides = np.minimum(places[:, None, 2:], others[:, 2:]) - np.maximum(places[:, None, :2], others[:, :2])
    return np.maximum(sides, 0).prod(2)


def _area(boxes: np.ndarray) -> np.ndarray:
    return np.maximum(boxes[:, 2:] - boxes[:, :2], 0).prod(1)
