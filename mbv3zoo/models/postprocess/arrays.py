"""Raw maps -> the detections of each image, in NumPy: what `tensors.py` does, without torch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mbv3zoo.models.postprocess.decoding import MOST_SCORES, Kept, decode_boxes, least_logit
from mbv3zoo.models.postprocess.thresholds import PREDICTION, Thresholds


def postprocess(
    maps: Sequence[np.ndarray],
    anchors: Sequence[Sequence[Sequence[float]]],
    strides: Sequence[int],
    thresholds: Thresholds = PREDICTION,
) -> list[Kept[np.ndarray]]:
    """Thresholds, decodes and suppresses (greedy NMS per class) where asked; see `mbv3zoo.models.postprocess.tensors`.

    Args:
        maps: One array per level, [B, A * (5 + K), H, W], raw logits: channel a * (5 + K) + i is output i of anchor a,
            the outputs being tx, ty, tw, th, objectness, K classes. float16 logits are computed in float32.
        anchors: For each level A pairs (width, height) in pixels of the graph's input.
        strides: Stride of each level, in input pixels per cell.
        thresholds: What is kept.

    Returns:
        One `Kept` per image, float32 boxes in pixels of the graph's input (its letterbox); of equal scores the
        earlier cell first.
    """
    least = least_logit(thresholds.score_thresh)
    kept = []
    for image in range(len(maps[0])):
        levels = [
            _live_cells(level[image], np.asarray(level_anchors, np.float32), stride, least)
            for level, level_anchors, stride in zip(maps, anchors, strides, strict=True)
        ]
        rows, cells, sizes, steps = (np.concatenate(parts) for parts in zip(*levels, strict=True))
        index, scores, labels = _of_logits(rows, thresholds)
        boxes = decode_boxes(_sigmoid(rows[index, :4]), cells[index], sizes[index], steps[index])
        stays = suppress(boxes, labels, thresholds)
        kept.append(Kept(boxes[stays], scores[stays], labels[stays]))
    return kept


def _live_cells(
    level: np.ndarray, anchors: np.ndarray, stride: int, least: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Of one image's map [A * (5 + K), H, W]: logits [N, 5 + K], cells and anchors [N, 2] and strides [N, 1]."""
    level = level.reshape(len(anchors), -1, *level.shape[1:])
    # Not `>`: compared with float16, the threshold is rounded to a value that may be the first that passes.
    anchor, y, x = np.nonzero(level[:, 4] >= least)
    rows = level[anchor, :, y, x].astype(np.float32, copy=False)
    cells = np.stack([x, y], 1).astype(np.float32)
    return rows, cells, anchors[anchor], np.full((len(rows), 1), stride, np.float32)


def _candidates(scores: np.ndarray, thresholds: Thresholds) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of one image's scores [N, K] those that enter NMS, best first: rows, scores and labels, [M] each."""
    if thresholds.multi_label:
        index, labels = np.nonzero(scores > thresholds.score_thresh)
        best = scores[index, labels]
    else:
        best, labels = scores.max(1), scores.argmax(1)
        index = np.nonzero(best > thresholds.score_thresh)[0]
        best, labels = best[index], labels[index]
    if thresholds.classes is not None:
        wanted = np.isin(labels, thresholds.classes)
        index, best, labels = index[wanted], best[wanted], labels[wanted]
    order = _best_first(best, thresholds.max_candidates)
    return index[order], best[order], labels[order]


def _of_logits(rows: np.ndarray, thresholds: Thresholds) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """`_candidates` of logits [N, 5 + K], some rows at a time, as the scores of thousands of classes take gigabytes."""
    size = max(1, MOST_SCORES // rows.shape[1])
    found = []
    for start in range(0, max(1, len(rows)), size):
        probability = _sigmoid(rows[start : start + size])
        index, best, labels = _candidates(probability[:, 4:5] * probability[:, 5:], thresholds)
        found.append((index + start, best, labels))
    if len(found) == 1:
        return found[0]
    index, best, labels = (np.concatenate(parts) for parts in zip(*found, strict=True))
    order = _best_first(best, thresholds.max_candidates)
    return index[order], best[order], labels[order]


def _best_first(scores: np.ndarray, most: int) -> np.ndarray:
    """Order of scores [M], the best first, at most `most`; of equal ones the earlier first."""
    if len(scores) <= most:
        return np.argsort(-scores, kind='stable')
    enter = np.nonzero(scores >= np.partition(scores, -most)[-most])[0]
    return enter[np.argsort(-scores[enter], kind='stable')[:most]]


def suppress(boxes: np.ndarray, labels: np.ndarray, thresholds: Thresholds) -> np.ndarray:
    """Greedy NMS of each class by itself, with IoUs in float64, whatever the number of classes is.

    Args:
        boxes: [N, 4] xyxy, best first.
        labels: [N] int64.
        thresholds: `iou_thresh`, `class_agnostic` and `max_detections`; without `nms` the best are kept as they are.

    Returns:
        Indices of the boxes that stay, best first, at most `max_detections`.
    """
    if not thresholds.nms:
        return np.arange(min(len(boxes), thresholds.max_detections))
    if thresholds.class_agnostic:
        labels = np.zeros_like(labels)
    # The boxes of each class in a row, best first, so that what a box may suppress is one slice.
    order = np.argsort(labels, kind='stable')
    labels = labels[order]
    ends = np.searchsorted(labels, labels, 'right').tolist()
    x1, y1, x2, y2 = boxes[order].astype(np.float64).T.copy()
    # Infinite sides, and two boxes without an area, give an IoU that is no number and so not above the threshold.
    with np.errstate(invalid='ignore', over='ignore'):
        areas = (x2 - x1) * (y2 - y1)
        stays = np.ones(len(boxes), bool)
        keep: list[int] = []
        for index, place in enumerate(np.argsort(order).tolist()):
            if not stays[place]:
                continue
            keep.append(index)
            if len(keep) == thresholds.max_detections:
                break
            rest = slice(place + 1, ends[place])
            width = np.minimum(x2[place], x2[rest]) - np.maximum(x1[place], x1[rest])
            height = np.minimum(y2[place], y2[rest]) - np.maximum(y1[place], y1[rest])
            shared = np.maximum(width, 0) * np.maximum(height, 0)
            iou = shared / (areas[place] + areas[rest] - shared)
            stays[rest] &= ~(iou > thresholds.iou_thresh)
    return np.array(keep, np.int64)


def _sigmoid(x: np.ndarray) -> np.ndarray:
    with np.errstate(over='ignore'):
        return 1 / (1 + np.exp(-x))
