"""F1 over the score threshold: at which threshold a detector is best used."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torchvision.ops import box_area, box_iou, nms

from mbv3zoo.data.detection_set import DetectionSet
from mbv3zoo.data.records import Record
from mbv3zoo.detections import Detections
from mbv3zoo.evaluation.metrics import F1Curve
from mbv3zoo.models.postprocess.arrays import suppress
from mbv3zoo.models.postprocess.thresholds import PREDICTION, Thresholds

# Least IoU with an object, and least share of a detection in a crowd with which it is not counted.
_IOU = 0.5
_THRESHOLDS = np.arange(101) / 100


def as_predicted(
    found: Detections, score_thresh: float = PREDICTION.score_thresh, iou_thresh: float = PREDICTION.iou_thresh
) -> Detections:
    """What `predict` would have reported of an image's detections: thresholded, one class per box, after NMS."""
    found = found[found.scores >= score_thresh]
    # A box that is reported under several classes is the same in each.
    found = found[nms(found.boxes, found.scores, 0.999)]
    thresholds = Thresholds(iou_thresh=iou_thresh, max_detections=max(1, len(found)))
    return found[suppress(np.asarray(found.boxes), np.asarray(found.labels), thresholds)]


def f1_curve(data: DetectionSet, detections: Sequence[Detections]) -> F1Curve:
    """Precision, recall and F1 of each class over the score threshold, of what `predict` would give at each.

    F1 is the harmonic mean of precision and recall, 2 TP / (2 TP + FP + FN) (van Rijsbergen, Information Retrieval,
    1979). In order of score, each detection is matched to the unmatched object of its class with the largest IoU, of at
    least 0.5. Crowds are not matched, and an unmatched detection with at least half of its area in one is not counted.

    Args:
        data: The labelled set, of K classes.
        detections: One per record, as from `mbv3zoo.evaluation.run.collect`.
    """
    known, scores, labels, hits = np.zeros(len(data.class_names), np.int64), [], [], []
    for record, found in zip(data.records, detections, strict=True):
        own = as_predicted(found, 0)
        is_hit, is_counted = _matched(record, own)
        scores.append(np.asarray(own.scores)[is_counted])
        labels.append(np.asarray(own.labels)[is_counted])
        hits.append(is_hit[is_counted])
        known += np.bincount(record.labels[~record.iscrowd].numpy(), minlength=len(known))
    classes, flags = np.concatenate([*labels, np.zeros(0, np.int64)]), np.concatenate([*hits, np.zeros(0, bool)])
    # The number of thresholds that a score is above.
    steps = np.searchsorted(_THRESHOLDS.astype(np.float32), np.concatenate([*scores, np.zeros(0, np.float32)]))
    kept, right = (_above(classes[chosen], steps[chosen], len(known)) for chosen in (slice(None), flags))
    with np.errstate(divide='ignore', invalid='ignore'):
        objects = np.where(known > 0, known, np.nan)[:, None]
        precision, recall = np.where(known[:, None] > 0, right / kept, np.nan), right / objects
        return F1Curve(data.class_names, _THRESHOLDS, precision, recall, 2 * right / (kept + objects))


def _above(labels: np.ndarray, steps: np.ndarray, classes: int) -> np.ndarray:
    """Detections of each class above each threshold, [K, 101]."""
    side = len(_THRESHOLDS) + 1
    counts = np.bincount(labels * side + steps, minlength=classes * side).reshape(classes, side)
    return counts[:, ::-1].cumsum(1)[:, ::-1][:, 1:]


def _matched(record: Record, found: Detections) -> tuple[np.ndarray, np.ndarray]:
    """Whether each of an image's detections has an object, and whether it is counted: bool [N] each."""
    is_hit, is_counted = np.zeros(len(found), bool), np.ones(len(found), bool)
    if not len(found) or not len(record.boxes):
        return is_hit, is_counted
    boxes, truth = torch.as_tensor(found.boxes).double(), record.boxes.double()
    same = torch.as_tensor(found.labels)[:, None] == record.labels
    overlaps = torch.where(same & ~record.iscrowd, box_iou(boxes, truth), 0)
    order = torch.as_tensor(found.scores).argsort(descending=True, stable=True)
    is_free = np.ones(len(truth), bool)
    table = overlaps.numpy()
    for i in order[(overlaps.amax(1) >= _IOU)[order]].tolist():
        free = np.where(is_free, table[i], 0)
        j = int(free.argmax())
        if free[j] >= _IOU:
            is_hit[i], is_free[j] = True, False
    if record.iscrowd.any():
        is_counted = is_hit | ~_in_crowd(boxes, truth, same & record.iscrowd)
    return is_hit, is_counted


def _in_crowd(boxes: torch.Tensor, truth: torch.Tensor, is_crowd: torch.Tensor) -> np.ndarray:
    """Whether at least half of each of boxes [N, 4] lies in one of truth [M, 4] where is_crowd [N, M]; bool [N]."""
    corner = torch.maximum(boxes[:, None, :2], truth[None, :, :2])
    sides = torch.minimum(boxes[:, None, 2:], truth[None, :, 2:]) - corner
    inside = sides.clamp(min=0).prod(2)
    return (is_crowd & (inside > 0) & (inside >= _IOU * box_area(boxes)[:, None])).any(1).numpy()
