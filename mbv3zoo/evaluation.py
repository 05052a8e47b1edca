"""COCO average precision of a detector on a labelled set (faster-coco-eval)."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from faster_coco_eval import COCO, COCOeval_faster
from torch.utils.data import DataLoader

from mbv3zoo.data.letterbox import Letterbox
from mbv3zoo.data.loader import EvalSamples
from mbv3zoo.data.records import DetectionSet
from mbv3zoo.detections import Detections
from mbv3zoo.models.modes import evaluation_mode
from mbv3zoo.models.network import DetectorNetwork

# How COCO figures are made: nearly all candidates, several classes a box, the best 100 of a picture count.
SCORE_THRESH = 0.001
IOU_THRESH = 0.6
MAX_DETECTIONS = 100


class Metrics(NamedTuple):
    """COCO figures in 0..1; nan where the set has no such object.

    Attributes:
        ap: Mean over IoU 0.50 to 0.95 in steps of 0.05, and over classes.
        ap50, ap75: At one IoU.
        ap_small, ap_medium, ap_large: Of objects under 32^2, between, and over 96^2 square pixels.
        per_class: Class name -> ap.
        images, objects: How many there were.
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

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; nan becomes None."""
        plain = {k: None if isinstance(v, float) and math.isnan(v) else v for k, v in self._asdict().items()}
        plain['per_class'] = {k: None if math.isnan(v) else v for k, v in self.per_class.items()}
        return plain


def evaluate(
    network: DetectorNetwork,
    data: DetectionSet,
    *,
    batch_size: int = 32,
    workers: int = 0,
    image_size: tuple[int, int] | None = None,
    progress: Callable[[int], object] | None = None,
) -> Metrics:
    """Runs a detector over a labelled set and scores it.

    Args:
        network: A detector whose classes are the set's, in this order.
        data: The labelled set.
        batch_size: Pictures at a time.
        workers: Loader processes.
        image_size: (height, width) of the letterbox; the detector's own by default.
        progress: Called with the number of pictures after each batch.

    Raises:
        ValueError: The detector has other classes than the set.
    """
    check_classes(network, data)
    return score(data, collect(network, data, batch_size, workers, image_size, progress))


def check_classes(network: DetectorNetwork, data: DetectionSet) -> None:
    """Raises ValueError where a detector's classes are not a set's."""
    own, given = network.config.class_names, data.class_names
    if own != given:
        only = [name for name in given if name not in own][:5]
        hint = f'; unknown to the detector: {only}' if only else '; the order differs' if len(own) == len(given) else ''
        raise ValueError(f'the detector has {len(own)} classes, the data set {len(given)}{hint}')


@torch.inference_mode()
def collect(
    network: DetectorNetwork,
    data: DetectionSet,
    batch_size: int = 32,
    workers: int = 0,
    image_size: tuple[int, int] | None = None,
    progress: Callable[[int], object] | None = None,
) -> list[Detections]:
    """Detections of every picture, in the set's order, with the thresholds of COCO evaluation."""
    image_size = image_size or network.config.image_size
    samples = EvalSamples(data, image_size, network.config.in_chans)
    found = []
    with evaluation_mode(network):
        for images, indices in DataLoader(samples, batch_size, num_workers=workers):
            logits = network(images.to(network.anchors.device).float() / 255)
            kept = network.postprocess(
                logits,
                score_thresh=SCORE_THRESH,
                iou_thresh=IOU_THRESH,
                max_detections=MAX_DETECTIONS,
                multi_label=True,
            )
            for (boxes, scores, labels), index in zip(kept, indices.tolist(), strict=True):
                record = data.records[index]
                boxes = Letterbox.fit(record.size, image_size).boxes_to_original(boxes.cpu())
                found.append(
                    Detections(boxes, scores.cpu(), labels.cpu(), data.class_names, record.size, str(record.path))
                )
            if progress:
                progress(len(indices))
    return found


def score(data: DetectionSet, detections: list[Detections]) -> Metrics:
    """COCO figures of detections, one entry a record of `data`."""
    truth = COCO(_to_coco(data))
    results = [
        row for record, found in zip(data.records, detections, strict=True) for row in found.to_coco(record.image_id)
    ]
    run = COCOeval_faster(truth, truth.loadRes(results), 'bbox')
    run.evaluate()
    run.accumulate()
    run.summarize()
    # [IoU, recall, class, area, detections]; -1 where a class has no object
    precision = run.eval['precision'][:, :, :, 0, -1]
    per_class = {name: _mean(precision[:, :, i]) for i, name in enumerate(data.class_names)}
    figures = [float(v) if v >= 0 else math.nan for v in run.stats[:6]]
    objects = sum(int((~record.iscrowd).sum()) for record in data.records)
    return Metrics(*figures, per_class, len(data), objects)


def _mean(values: np.ndarray) -> float:
    values = values[values > -1]
    return float(values.mean()) if values.size else math.nan


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
                    'category_id': label + 1,
                    'bbox': [x1, y1, x2 - x1, y2 - y1],
                    'area': area,
                    'iscrowd': int(crowd),
                }
            )
    return {
        'info': {},
        'images': [{'id': r.image_id, 'height': r.size[0], 'width': r.size[1]} for r in data.records],
        'annotations': annotations,
        'categories': [{'id': i + 1, 'name': name} for i, name in enumerate(data.class_names)],
    }
