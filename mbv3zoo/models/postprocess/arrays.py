"""Raw maps -> the detections of each image, in NumPy: what `tensors.py` does, without torch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mbv3zoo.models.postprocess.decoding import CLASS_OFFSET, Kept, decode_boxes, least_logit
from mbv3zoo.models.postprocess.thresholds import PREDICTION, Thresholds


def postprocess(
    maps: Sequence[np.ndarray],
    anchors: Sequence[Sequence[Sequence[float]]],
    strides: Sequence[int],
    thresholds: Thresholds = PREDICTION,
) -> list[Kept[np.ndarray]]:
    """Thresholds, decodes and suppresses (greedy NMS per class); see `mbv3zoo.models.postprocess.tensors`.

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
        probability = _sigmoid(rows)
        index, scores, labels = _candidates(probability[:, 4:5] * probability[:, 5:], thresholds)
        boxes = decode_boxes(probability[index, :4], cells[index], sizes[index], steps[index])
        stays = _suppress(boxes, labels, thresholds)
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
    order = np.argsort(-best, kind='stable')[: thresholds.max_candidates]
    return index[order], best[order], labels[order]


def _suppress(boxes: np.ndarray, labels: np.ndarray, thresholds: Thresholds) -> np.ndarray:
    """Indices of the boxes [N, 4], best first, that stay; at most `max_detections`, in their order."""
    if not thresholds.class_agnostic and len(boxes):
        # Boxes may be larger where the image is. The sum is rounded as YOLOv5's: see `suppress` in `tensors.py`.
        offset = max(boxes.max() - boxes.min(), np.float32(CLASS_OFFSET))
        boxes = boxes + (labels[:, None] * offset).astype(np.float32)
    x1, y1, x2, y2 = boxes.T.copy()
    areas = (x2 - x1) * (y2 - y1)
    left = np.arange(len(boxes))
    keep: list[np.int64] = []
    while len(left) and len(keep) < thresholds.max_detections:
        best, left = left[0], left[1:]
        keep.append(best)
        width = np.minimum(x2[best], x2[left]) - np.maximum(x1[best], x1[left])
        height = np.minimum(y2[best], y2[left]) - np.maximum(y1[best], y1[left])
        shared = np.maximum(width, 0) * np.maximum(height, 0)
        # Two boxes without an area overlap with nothing: 0 / 0 is not above the threshold.
        with np.errstate(invalid='ignore'):
            iou = shared / (areas[best] + areas[left] - shared)
        # Against the double, as torchvision does; its nearest float may lie on the other side of an IoU.
        left = left[~(iou > np.float64(thresholds.iou_thresh))]
    return np.array(keep, np.int64)


def _sigmoid(x: np.ndarray) -> np.ndarray:
    with np.errstate(over='ignore'):
        return 1 / (1 + np.exp(-x))
