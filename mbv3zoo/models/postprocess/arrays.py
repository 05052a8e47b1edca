"""Raw maps -> detections, in NumPy: `mbv3zoo.models.postprocess.tensors` for those who have no torch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

# Pixels between the boxes of one class and the next, at least; as in YOLOv5.
_CLASS_OFFSET = np.float32(7680)


class Kept(NamedTuple):
    """What is kept of one picture, best first: boxes [N, 4] xyxy pixels, scores [N] in 0..1, labels [N] int64."""

    boxes: np.ndarray
    scores: np.ndarray
    labels: np.ndarray


def postprocess(
    maps: Sequence[np.ndarray],
    anchors: Sequence[Sequence[Sequence[float]]],
    strides: Sequence[int],
    *,
    score_thresh: float = 0.25,
    iou_thresh: float = 0.45,
    max_detections: int = 300,
    max_candidates: int = 30_000,
    multi_label: bool = False,
    class_agnostic: bool = False,
) -> list[Kept]:
    """Drops cells that cannot pass the threshold, decodes the others, thresholds and suppresses.

    Args:
        maps: One array a level, [B, A * (5 + K), H, W], raw logits: channel a * (5 + K) + i is output i of anchor a,
            the outputs being tx, ty, tw, th, objectness, K classes. Halves are reckoned in full precision.
        anchors: For each level A pairs (width, height) in pixels of the graph's input.
        strides: Pixels a cell of each level.
        score_thresh: Only scores above it are kept.
        iou_thresh: Of two boxes of one class that overlap more than this, the better is kept.
        max_detections: At most so many a picture.
        max_candidates: At most so many of a picture, the best, enter the suppression.
        multi_label: Whether one box may be reported under several classes (as evaluation wants it), or its best only.
        class_agnostic: Whether boxes of different classes suppress one another.

    Returns:
        One `Kept` a picture, float32 boxes in pixels of the graph's input (its letterbox); of equal scores the
        earlier cell first.
    """
    least = _least_logit(score_thresh)
    kept = []
    for picture in range(len(maps[0])):
        levels = [
            _live_cells(level[picture], np.asarray(level_anchors, np.float32), stride, least)
            for level, level_anchors, stride in zip(maps, anchors, strides, strict=True)
        ]
        rows, cells, sizes, steps = (np.concatenate(parts) for parts in zip(*levels, strict=True))
        probability = _sigmoid(rows)
        scores = probability[:, 4:5] * probability[:, 5:]
        index, best, labels = _choose(scores, score_thresh, max_candidates, multi_label)
        boxes = _decode(probability[index, :4], cells[index], sizes[index], steps[index])
        keep = _suppress(boxes, labels, iou_thresh, class_agnostic, max_detections)
        kept.append(Kept(boxes[keep], best[keep], labels[keep]))
    return kept


def _live_cells(
    level: np.ndarray, anchors: np.ndarray, stride: int, least: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Of one picture's map [A * (5 + K), H, W]: logits [N, 5 + K], cells and anchors [N, 2] and strides [N, 1]."""
    level = level.reshape(len(anchors), -1, *level.shape[1:])
    # Not `>`: compared with halves, the threshold is rounded to one, which may be the first that passes.
    anchor, y, x = np.nonzero(level[:, 4] >= least)
    rows = level[anchor, :, y, x].astype(np.float32, copy=False)
    cells = np.stack([x, y], 1).astype(np.float32)
    return rows, cells, anchors[anchor], np.full((len(rows), 1), stride, np.float32)


def _least_logit(score_thresh: float) -> float:
    """The logit of a score, a little less than exact, so that rounding drops nothing that passes."""
    score = score_thresh * (1 - 1e-6)
    if score <= 0:
        return -math.inf
    return math.log(score / (1 - score)) - 1e-3 if score < 1 else math.inf


def _choose(
    scores: np.ndarray, score_thresh: float, max_candidates: int, multi_label: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of one picture's scores [N, K], those that enter the suppression, best first: rows, scores and labels, [M]."""
    if multi_label:
        index, labels = np.nonzero(scores > score_thresh)
        best = scores[index, labels]
    else:
        best, labels = scores.max(1), scores.argmax(1)
        index = np.nonzero(best > score_thresh)[0]
        best, labels = best[index], labels[index]
    order = np.argsort(-best, kind='stable')[:max_candidates]
    return index[order], best[order], labels[order]


def _decode(probability: np.ndarray, cells: np.ndarray, anchors: np.ndarray, strides: np.ndarray) -> np.ndarray:
    """Boxes [N, 4] of cells; as `mbv3zoo.models.postprocess.dense.decode_boxes`, in the same order of sums."""
    center = (probability[:, 0:2] * 2 + (cells - np.float32(0.5))) * strides
    half = (probability[:, 2:4] * 2) ** 2 * anchors / 2
    return np.concatenate([center - half, center + half], 1)


def _suppress(boxes: np.ndarray, labels: np.ndarray, iou_thresh: float, class_agnostic: bool, most: int) -> np.ndarray:
    """Indices of the boxes [N, 4], best first, that stay; at most so many, in their order."""
    if not class_agnostic and len(boxes):
        # Boxes may be larger where the picture is. The sum is rounded as YOLOv5's: see `.tensors`.
        offset = max(boxes.max() - boxes.min(), _CLASS_OFFSET)
        boxes = boxes + (labels[:, None] * offset).astype(np.float32)
    x1, y1, x2, y2 = boxes.T.copy()
    areas = (x2 - x1) * (y2 - y1)
    left = np.arange(len(boxes))
    keep: list[int] = []
    while len(left) and len(keep) < most:
        best, left = left[0], left[1:]
        keep.append(best)
        width = np.minimum(x2[best], x2[left]) - np.maximum(x1[best], x1[left])
        height = np.minimum(y2[best], y2[left]) - np.maximum(y1[best], y1[left])
        shared = np.maximum(width, 0) * np.maximum(height, 0)
        # Two boxes without an area overlap with nothing: 0 / 0 is not above the threshold.
        with np.errstate(invalid='ignore'):
            iou = shared / (areas[best] + areas[left] - shared)
        # Against the double, as torchvision does; its nearest float may lie on the other side of an IoU.
        left = left[~(iou > np.float64(iou_thresh))]
    return np.array(keep, np.int64)


def _sigmoid(x: np.ndarray) -> np.ndarray:
    with np.errstate(over='ignore'):
        return 1 / (1 + np.exp(-x))
