"""COCO average precision of a detector on a labelled set (faster-coco-eval)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import torch
from faster_coco_eval import COCO, COCOeval_faster
from torch.utils.data import DataLoader, Dataset, Subset
from torchvision.ops import batched_nms, nms

from mbv3zoo.data.records import DetectionSet
from mbv3zoo.data.samples import EvalSamples
from mbv3zoo.detections import Detections
from mbv3zoo.images.letterbox import Letterbox
from mbv3zoo.models.postprocess.thresholds import COCO_EVALUATION, PREDICTION
from mbv3zoo.prediction.engine import as_engine


class ClassMetrics(NamedTuple):
    """COCO figures of one class, as in `Metrics`."""

    name: str
    ap: float
    ap50: float
    ap75: float
    ap_small: float
    ap_medium: float
    ap_large: float
    objects: int


class Metrics(NamedTuple):
    """COCO figures in 0..1; nan where the set has no such object.

    Attributes:
        ap: Mean over IoU 0.50 to 0.95 in steps of 0.05, and over classes.
        ap50, ap75: At one IoU.
        ap_small, ap_medium, ap_large: Of objects under 32^2, between, and over 96^2 square pixels.
        per_class: Class name -> ap.
        images, objects: How many there were; crowds are not counted.
        ar1, ar10, ar100: Recall at so many detections a picture, mean over the same IoUs and classes as `ap`.
        ar_small, ar_medium, ar_large: Recall at 100 detections a picture, by size.
        classes: All figures of each class, in the set's order.
    """

    ap: float
    ap50: float
    ap75: float
    ap_small: float
    ap_medium: float
    ap_large: float
    per_class: dict[str, float]
    images: int
    objects: int
    ar1: float = math.nan
    ar10: float = math.nan
    ar100: float = math.nan
    ar_small: float = math.nan
    ar_medium: float = math.nan
    ar_large: float = math.nan
    classes: tuple[ClassMetrics, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; nan becomes None."""
        plain = _without_nan(self._asdict())
        plain['per_class'] = _without_nan(self.per_class)
        plain['classes'] = [_without_nan(row._asdict()) for row in self.classes]
        return plain

    @classmethod
    def from_dict(cls, plain: dict[str, Any]) -> Metrics:
        """The metrics from what `to_dict` returned."""
        values = _with_nan(plain)
        values['per_class'] = _with_nan(plain['per_class'])
        values['classes'] = tuple(ClassMetrics(**_with_nan(row)) for row in plain['classes'])
        return cls(**values)


class PrecisionRecall(NamedTuple):
    """Precision against recall at an IoU of 0.5, of objects of all sizes.

    Attributes:
        class_names: The names of the K classes.
        recall: float64 [101], 0 to 1 in steps of 0.01.
        precision: float64 [K, 101], the best precision in 0..1 at that recall or a higher one, 0 where it is not
            reached; nan for a class without objects.
        ap50: float64 [K], the mean of each class's precision.
    """

    class_names: tuple[str, ...]
    recall: np.ndarray
    precision: np.ndarray
    ap50: np.ndarray

    @property
    def mean(self) -> np.ndarray:
        """Precision [101], mean over the classes that have objects; nan where none has."""
        known = self.precision[~np.isnan(self.ap50)]
        return known.mean(0) if len(known) else np.full(len(self.recall), math.nan)


class Evaluation(NamedTuple):
    """What an evaluation found out.

    Attributes:
        metrics: The COCO figures.
        detections: One for each record of the set, in its order.
        curves: Precision against recall of each class.
    """

    metrics: Metrics
    detections: list[Detections]
    curves: PrecisionRecall


def evaluate(
    detector: Any,
    data: DetectionSet,
    *,
    batch_size: int = 32,
    workers: int = 0,
    image_size: tuple[int, int] | None = None,
    progress: Callable[[int], object] | None = None,
) -> Evaluation:
    """Runs a detector over a labelled set and scores it.

    Args:
        detector: A `Detector` or an exported one (what `mbv3zoo.load` opens) whose classes are the set's, in this
            order. It runs on the device and in the type that it has.
        data: The labelled set.
        batch_size: Images at a time.
        workers: Loader processes.
        image_size: (height, width) of the letterbox; the detector's own by default.
        progress: Called with the number of images after each batch.

    Raises:
        ValueError: The detector has other classes than the set, does not take this size, or is a file with NMS inside,
            whose thresholds are not those of COCO evaluation.
    """
    check_classes(detector, data)
    return score(data, collect(detector, data, batch_size, workers, image_size, progress))


def check_classes(detector: Any, data: DetectionSet) -> None:
    """Raises ValueError where a detector's classes are not a set's."""
    own, given = as_engine(detector).info.class_names, data.class_names
    if own != given:
        only = [name for name in given if name not in own][:5]
        hint = f'; unknown to the detector: {only}' if only else '; the order differs' if len(own) == len(given) else ''
        raise ValueError(f'the detector has {len(own)} classes, the data set {len(given)}{hint}')


def collect(
    detector: Any,
    data: DetectionSet,
    batch_size: int = 32,
    workers: int = 0,
    image_size: tuple[int, int] | None = None,
    progress: Callable[[int], object] | None = None,
    indices: Sequence[int] | None = None,
    max_detections: int = COCO_EVALUATION.max_detections,
) -> list[Detections]:
    """Detections of every image, in the set's order, with the thresholds of COCO evaluation.

    Args:
        detector, data, batch_size, workers, image_size, progress: As for `evaluate`.
        indices: The records to run on, where they are not all, so that processes may share a set; the result is
            then in this order.
        max_detections: Most detections per image; COCO's figures count no more than 100.
    """
    engine = as_engine(detector)
    image_size = image_size or engine.info.image_size
    thresholds = replace(COCO_EVALUATION, max_detections=max_detections)
    samples: Dataset = EvalSamples(data, image_size, engine.info.in_chans)
    if indices is not None:
        samples = Subset(samples, indices)
    found = []
    for images, numbers in DataLoader(samples, batch_size, num_workers=workers):
        kept = engine.detect(images.numpy(), thresholds)
        for (boxes, scores, labels), number in zip(kept, numbers.tolist(), strict=True):
            record = data.records[number]
            boxes = Letterbox.fit(record.size, image_size).boxes_to_original(boxes)
            own = Detections(boxes, scores, labels, data.class_names, record.size, str(record.path))
            found.append(own.torch())
        if progress:
            progress(len(numbers))
    return found


def score(data: DetectionSet, detections: list[Detections]) -> Evaluation:
    """COCO figures and curves of detections, one entry a record of `data`."""
    truth = COCO(_to_coco(data))
    run = COCOeval_faster(truth, truth.loadRes(to_coco_results(data, detections)), 'bbox')
    run.evaluate()
    run.accumulate()
    run.summarize()
    # [IoU, recall, class, area, detections]; -1 where a class has no object
    precision = run.eval['precision'][..., -1]
    counts = _objects_per_class(data)
    classes = tuple(
        ClassMetrics(name, *_figures(precision[:, :, i]), count)
        for i, (name, count) in enumerate(zip(data.class_names, counts, strict=True))
    )
    figures = [float(v) if v >= 0 else math.nan for v in run.stats[:12]]
    per_class = {row.name: row.ap for row in classes}
    metrics = Metrics(*figures[:6], per_class, len(data), sum(counts), *figures[6:], classes)
    at_50 = precision[0, :, :, 0].T
    curves = PrecisionRecall(
        data.class_names,
        np.array(run.params.recThrs),
        np.where(at_50 < 0, math.nan, at_50),
        np.array([row.ap50 for row in classes]),
    )
    return Evaluation(metrics, detections, curves)


def to_coco_results(data: DetectionSet, detections: list[Detections]) -> list[dict[str, Any]]:
    """Detections, one entry a record of `data`, as the rows of a COCO results file."""
    return [
        row
        for record, found in zip(data.records, detections, strict=True)
        for row in found.to_coco(record.image_id, data.category_ids)
    ]


def as_predicted(
    found: Detections, score_thresh: float = PREDICTION.score_thresh, iou_thresh: float = PREDICTION.iou_thresh
) -> Detections:
    """What `predict` would have reported of an image's detections: thresholded, one class per box, after NMS."""
    found = found[found.scores >= score_thresh]
    # A box that is reported under several classes is the same in each.
    found = found[nms(found.boxes, found.scores, 0.999)]
    return found[batched_nms(found.boxes, found.scores, found.labels, iou_thresh)]


def format_table(metrics: Metrics) -> str:
    """A table to be read: a row for all classes, then one a class; `-` where the set has no such object."""
    everything = ('all', *metrics[:6], metrics.objects)
    rows = [[row[0], *(_cell(value) for value in row[1:7]), str(row[7])] for row in (everything, *metrics.classes)]
    rows.insert(0, ['class', 'AP', 'AP50', 'AP75', 'small', 'medium', 'large', 'objects'])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ['  '.join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]) for row in rows]
    return '\n'.join([f'{metrics.images} pictures, {metrics.objects} objects', *lines])


def _cell(value: float) -> str:
    return '-' if math.isnan(value) else f'{value:.3f}'


def _without_nan(values: dict[str, Any]) -> dict[str, Any]:
    return {key: None if isinstance(value, float) and math.isnan(value) else value for key, value in values.items()}


def _with_nan(values: dict[str, Any]) -> dict[str, Any]:
    return {key: math.nan if value is None else value for key, value in values.items()}


def _figures(precision: np.ndarray) -> list[float]:
    """AP, AP50, AP75, AP small, medium and large of one class's precision [IoU, recall, area]."""
    whole = precision[:, :, 0]
    return [_mean(part) for part in (whole, whole[0], whole[5], *(precision[:, :, area] for area in (1, 2, 3)))]


def _mean(values: np.ndarray) -> float:
    values = values[values > -1]
    return float(values.mean()) if values.size else math.nan


def _objects_per_class(data: DetectionSet) -> list[int]:
    counts = torch.zeros(len(data.class_names), dtype=torch.int64)
    for record in data.records:
        counts += torch.bincount(record.labels[~record.iscrowd], minlength=len(counts))
    return counts.tolist()


def _to_coco(data: DetectionSet) -> dict[str, Any]:
    annotations = []
    for record in data.records:
        rows = zip(
            record.boxes.tolist(), record.labels.tolist(), record.areas.tolist(), record.iscrowd.tolist(), strict=True
        )
        for (x1, y1, x2, y2), label, area, crowd in rows:
            annotations.append(
                {
                    'id': len(annotations) + 1,
                    'image_id': record.image_id,
                    'category_id': data.category_ids[label],
                    'bbox': [x1, y1, x2 - x1, y2 - y1],
                    'area': area,
                    'iscrowd': int(crowd),
                }
            )
    return {
        'info': {},
        'images': [{'id': r.image_id, 'height': r.size[0], 'width': r.size[1]} for r in data.records],
        'annotations': annotations,
        'categories': [{'id': i, 'name': name} for i, name in zip(data.category_ids, data.class_names, strict=True)],
    }
