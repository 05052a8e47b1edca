"""What post-processing of torch tensors and of NumPy arrays share, to the bit; imports no torch."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor

Array = TypeVar('Array', np.ndarray, 'Tensor')

# Scores that are computed at once: all of 640 x 640 pixels in 600 classes.
MOST_SCORES = 2**24


class Kept(NamedTuple, Generic[Array]):
    """What is kept of one image, best first: boxes [N, 4] xyxy pixels, scores [N] in 0..1, labels [N] int64."""

    boxes: Array
    scores: Array
    labels: Array


def least_logit(score_thresh: float) -> float:
    """The logit of a score, a little less than exact, so that rounding drops nothing that passes."""
    score = score_thresh * (1 - 1e-6)
    if score <= 0:
        return -math.inf
    return math.log(score / (1 - score)) - 1e-3 if score < 1 else math.inf


def decode_centers(xy: Array, cells: Array | float) -> Array:
    """Centres [..., 2] in cells; `xy` is the sigmoid of tx, ty, and `cells` holds column and row."""
    # Summed in this order, the boxes are YOLOv5's to the last bit.
    return xy * 2 + (cells - 0.5)


def decode_sides(wh: Array, anchors: Array) -> Array:
    """Width and height [..., 2] in the unit of the anchors; `wh` is the sigmoid of tw, th."""
    return (wh * 2) ** 2 * anchors


def decode_boxes(probability: Array, cells: Array, anchors: Array, stride: Array | int) -> Array:
    """Boxes of cells (YOLOv5 v6.0).

    With s = sigmoid(logit), cell (cx, cy), stride d, anchor (aw, ah): centre x = (2 sx - 0.5 + cx) d and y likewise,
    width = (2 sw)^2 aw and height likewise.

    Args:
        probability: [..., 4], the sigmoid of tx, ty, tw, th.
        cells: [..., 2], column and row.
        anchors: [..., 2], (width, height) in pixels.
        stride: Stride, in input pixels per cell.

    Returns:
        [..., 4] xyxy pixels.
    """
    center = decode_centers(probability[..., 0:2], cells) * stride
    half = decode_sides(probability[..., 2:4], anchors) / 2
    join: Any = np.concatenate
    if not isinstance(center, np.ndarray):
        import torch

        join = torch.cat
    return join([center - half, center + half], -1)
