"""COCO average precision of detections on a labelled set (faster-coco-eval)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from faster_coco_eval import COCO, COCOeval_faster
from torchvision.ops import box_area

from mbv3zoo.data.coco_writer import to_coco
from mbv3zoo.data.detection_set import DetectionSet
from mbv3zoo.detections import Detections
from mbv3zoo.evaluation.f1 import f1_curve
from mbv3zoo.evaluation.metrics import AP_NAMES, ClassMetrics, Evaluation, Metrics, PrecisionRecall

# The largest area that COCO evaluation counts, in square pixels.
_LARGEST = 1e10
_SUMMARY = (*AP_NAMES, 'ar1', 'ar10', 'ar100', 'ar_small', 'ar_medium', 'ar_large')


def score(
    data: DetectionSet, detections: list[Detections], with_f1: bool = True, most: int | None = None
) -> Evaluation:
    """COCO figures and curves of detections.

    Args:
        data: The labelled set.
        detections: Those of each of its records.
        with_f1: Whether F1 is among them, which takes as long again.
        most: The most detections of an image that count; COCO's 100 by default. `ar100` is of so many then.
    """
    # The evaluator has ids of its own: it reckons with them in float64, which does not tell all numbers apart. They are
    # in the order of the set's ids, as that of equal scores depends on it.
    order = sorted(range(len(data)), key=lambda i: (isinstance(own := data.records[i].image_id, str), own))
    ids = {number: i for i, number in enumerate(order, start=1)}
    rows = [
        row for number, found in zip(range(len(data)), detections, strict=True) for row in found.to_coco(ids[number])
    ]
    truth = COCO(_to_coco(data, ids))
    run = COCOeval_faster(truth, truth.loadRes(rows), 'bbox')
    counts = _objects_per_class(data)
    # Classes without objects have no figures; the tables of 8,000 classes would take gigabytes.
    known = [label for label, count in enumerate(counts) if count] or [0]
    run.params.catIds = [label + 1 for label in known]
    if most is not None:
        run.params.maxDets = [*run.params.maxDets[:-1], most]
    run.evaluate()
    run.accumulate()
    run.summarize()
    # [IoU, recall, class, area, detections]; -1 if a class has no object
    precision = run.eval['precision'][..., -1]
    own = dict(zip(known, np.moveaxis(precision, 2, 0), strict=True))
    nothing = np.full_like(precision[:, :, 0], -1)
    classes = tuple(
        ClassMetrics(name=name, objects=count, **_figures(own.get(label, nothing)))
        for label, (name, count) in enumerate(zip(data.class_names, counts, strict=True))
    )
    # COCO's summary has twelve figures; what this program adds to them is left out.
    figures = {name: float(v) if v >= 0 else math.nan for name, v in zip(_SUMMARY, run.stats, strict=False)}
    f1 = f1_curve(data, detections) if with_f1 else None
    best_f1, best_threshold = f1.best if f1 else (math.nan, math.nan)
    metrics = Metrics(
        per_class={row.name: row.ap for row in classes},
        images=len(data),
        objects=sum(counts),
        classes=classes,
        best_f1=best_f1,
        best_threshold=best_threshold,
        f1_curve=f1,
        **figures,
    )
    at_50 = np.full((len(classes), precision.shape[1]), -1.0)
    at_50[known] = precision[0, :, :, 0].T
    curves = PrecisionRecall(
        data.class_names,
        np.array(run.params.recThrs),
        np.where(at_50 < 0, math.nan, at_50),
        np.array([row.ap50 for row in classes]),
    )
    return Evaluation(metrics, detections, curves)


def to_coco_results(data: DetectionSet, detections: list[Detections]) -> list[dict[str, Any]]:
    """Detections, one entry per record of `data`, as the rows of a COCO results file."""
    return [
        row
        for record, found in zip(data.records, detections, strict=True)
        for row in found.to_coco(record.image_id, data.category_ids)
    ]


def _figures(precision: np.ndarray) -> dict[str, float]:
    """`AP_NAMES` of one class's precision [IoU, recall, area]."""
    whole = precision[:, :, 0]
    parts = whole, whole[0], whole[5], *(precision[:, :, area] for area in (1, 2, 3))
    return {name: _mean(part) for name, part in zip(AP_NAMES, parts, strict=True)}


def _mean(values: np.ndarray) -> float:
    values = values[values > -1]
    return float(values.mean()) if values.size else math.nan


def _objects_per_class(data: DetectionSet) -> list[int]:
    counts = torch.zeros(len(data.class_names), dtype=torch.int64)
    for record in data.records:
        counts += torch.bincount(record.labels[~record.iscrowd], minlength=len(counts))
    return counts.tolist()


def _to_coco(data: DetectionSet, ids: Mapping[int, int]) -> dict[str, Any]:
    """A set as a COCO file, with ids of images by their number, and of classes from 1."""
    # An object whose area is none that COCO counts would be ignored.
    areas = [
        torch.where((record.areas > 0) & (record.areas <= _LARGEST), record.areas, box_area(record.boxes))
        for record in data.records
    ]
    return to_coco(data, [ids[i] for i in range(len(data))], range(1, len(data.class_names) + 1), areas)
