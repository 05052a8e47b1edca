"""Records and detections in one line, for tests of what is made of them."""

from pathlib import Path

import numpy as np
import torch

from mbv3zoo.data.detection_set import DetectionSet
from mbv3zoo.data.records import Record
from mbv3zoo.detections import Detections
from mbv3zoo.evaluation.coco import score
from mbv3zoo.evaluation.metrics import AP_NAMES

NAMES = ('cat', 'dog', 'owl')
SIZE = (200, 300)


def record(image_id, boxes=(), labels=None, crowd=None, areas=None, path='x.png', size=SIZE):
    boxes = torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4)
    labels = torch.zeros(len(boxes), dtype=torch.int64) if labels is None else torch.tensor(labels, dtype=torch.int64)
    crowd = torch.zeros(len(boxes), dtype=torch.bool) if crowd is None else torch.tensor(crowd, dtype=torch.bool)
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(1) if areas is None else torch.tensor(areas)
    return Record(Path(path), size, boxes, labels, areas, crowd, image_id)


def found(boxes=(), scores=(), labels=None, names=NAMES, size=SIZE):
    boxes = torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4)
    labels = torch.zeros(len(boxes), dtype=torch.int64) if labels is None else torch.tensor(labels, dtype=torch.int64)
    return Detections(boxes, torch.tensor(scores), labels, names, size)


def as_set(*records):
    return DetectionSet(list(records), NAMES)


def random_pictures(seed, images=12, crowds=True):
    """Objects, and detections that hit, miss, double and mistake them."""
    rng = np.random.default_rng(seed)
    records, detections = [], []
    for i in range(images):
        count = int(rng.integers(0, 7))
        corner, side = rng.uniform(0, 150, (count, 2)), rng.uniform(6, 130, (count, 2))
        boxes, labels = np.concatenate([corner, corner + side], 1), rng.integers(0, 2, count)
        crowd = rng.random(count) < (0.2 if crowds else 0)
        records.append(record(10 * i + 3, boxes.tolist(), labels.tolist(), crowd.tolist()))
        shifted = np.repeat(boxes, 2, 0) + rng.normal(0, 5, (2 * count, 4))
        shifted[:, 2:] = np.maximum(shifted[:, 2:], shifted[:, :2] + 2)
        keep = rng.random(2 * count) < 0.7
        guessed = np.where(rng.random(2 * count) < 0.85, np.repeat(labels, 2), rng.integers(0, 3, 2 * count))
        scores = rng.permutation(np.linspace(0.05, 0.95, 2 * count)) + rng.uniform(0, 1e-3, 2 * count)
        detections.append(found(shifted[keep].tolist(), scores[keep].tolist(), guessed[keep].tolist()))
    return DetectionSet(records, NAMES), detections


def as_found(known, value=0.9):
    return Detections(known.boxes, torch.full((len(known.boxes),), value), known.labels, NAMES, SIZE)


def ap_figures(figures):
    """AP, AP50, AP75, AP small, medium and large of a `Metrics` or `ClassMetrics`."""
    return [getattr(figures, name) for name in AP_NAMES]


def figures(data, detections):
    return score(data, detections).metrics
