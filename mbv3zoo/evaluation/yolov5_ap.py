"""Average precision as YOLOv5 computes it, to compare with its figures."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torchvision.ops import box_iou

from mbv3zoo.data.detection_set import DetectionSet
from mbv3zoo.data.records import Record
from mbv3zoo.detections import Detections

# As float32, like the IoUs they are compared with.
_IOUS = torch.linspace(0.5, 0.95, 10)
_RECALLS = np.linspace(0, 1, 101)


class YOLOv5AP(NamedTuple):
    """Mean over the classes that have objects, in 0..1; nan if none has.

    Attributes:
        ap50: At an IoU of 0.5.
        ap: Mean over IoU 0.50 to 0.95 in steps of 0.05.
    """

    ap50: float
    ap: float


def yolov5_ap(labelled: DetectionSet, detections: Sequence[Detections]) -> YOLOv5AP:
    """The mAP@0.5 and mAP@0.5:0.95 that YOLOv5's validation prints for these detections.

    Use it only to compare with YOLOv5's figures; `evaluate` gives COCO's, which differ in three ways: here a detection
    is matched to the object of its class with the largest IoU, and is wrong if a better detection has that one, even if
    another object is free; precision is interpolated linearly between the points of the precision-recall curve; and
    after the last point it falls linearly to 0 at recall 1, where COCO counts 0. The values are mostly somewhat higher.

    Args:
        labelled: The labelled dataset; crowds are left out, as YOLOv5 has none.
        detections: One entry per record of `labelled`, from `mbv3zoo.evaluation.run.collect` with `max_detections=300`
            for example: YOLOv5 keeps 300 per image.

    Raises:
        ValueError: The number of entries is not the number of records.
    """
    if len(detections) != len(labelled.records):
        raise ValueError(
            f'given detections of {len(detections)} pictures for a set of {len(labelled.records)}; '
            'expected one entry a record, in the order of the set'
        )
    parts = []
    for record, found in zip(labelled.records, detections, strict=True):
        found = found[torch.as_tensor(found.scores).argsort(descending=True, stable=True)]
        scored, labels = torch.as_tensor(found.scores), torch.as_tensor(found.labels)
        parts.append((_hits(record, found), scored, labels, record.labels[~record.iscrowd]))
    if not any(len(known) for *_, known in parts):
        return YOLOv5AP(math.nan, math.nan)
    hits, scores, guessed, known = (torch.cat(column) for column in zip(*parts, strict=True))
    order = scores.argsort(descending=True, stable=True)
    right, guessed = hits[order].double().numpy(), guessed[order]
    ap = np.array(
        [
            [_area(column, objects) for column in right[(guessed == label).numpy()].T]
            for label, objects in zip(*(part.tolist() for part in known.unique(return_counts=True)), strict=True)
        ]
    )
    return YOLOv5AP(float(ap[:, 0].mean()), float(ap.mean()))


def _hits(record: Record, found: Detections) -> torch.Tensor:
    """Whether each of an image's detections, best first, is correct at each IoU: bool [N, 10]."""
    boxes, labels = record.boxes[~record.iscrowd], record.labels[~record.iscrowd]
    hits = torch.zeros(len(found), len(_IOUS), dtype=torch.bool)
    if not len(boxes) or not len(found):
        return hits
    iou = box_iou(found.boxes, boxes)
    iou[found.labels[:, None] != labels] = -1
    best, nearest = iou.max(1)
    for level, thresh in enumerate(_IOUS):
        taken = set()
        for index in (best >= thresh).nonzero(as_tuple=True)[0].tolist():
            label = int(nearest[index])
            hits[index, level] = label not in taken
            taken.add(label)
    return hits


def _area(hits: np.ndarray, objects: int) -> float:
    """Area under a class's precision-recall curve, from its hits [N] in order of score."""
    if not len(hits):
        return 0.0
    right = hits.cumsum()
    recall = np.concatenate([[0], right / objects, [1]])
    precision = np.concatenate([[1], right / np.arange(1, len(hits) + 1), [0]])
    # The highest precision at this or a higher recall.
    precision = np.maximum.accumulate(precision[::-1])[::-1]
    heights = np.interp(_RECALLS, recall, precision)
    return float((heights[1:] + heights[:-1]).sum() / 2 / (len(_RECALLS) - 1))
