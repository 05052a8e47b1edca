"""The figures of a segmenter on a set of masks: intersection over union, and the pixels that it is counted from."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from mbv3zoo.data.masks import MaskSet
from mbv3zoo.detections.segmentation import Segmentation
from mbv3zoo.evaluation.metrics import with_nan, without_nan
from mbv3zoo.images.masks import IGNORE_INDEX
from mbv3zoo.utils.text import aligned

# Pixels by true and predicted class, and what was found in the records that a report shows.
Counted = tuple[np.ndarray, dict[int, Segmentation]]


@dataclass(frozen=True, repr=False)
class SegmentationMetrics:
    """Figures in 0..1; `print` shows them as a table, class by class.

    Attributes:
        miou: Mean of `per_class` (Long et al., arXiv 1411.4038, section 5), over the classes that are there.
        pixel_accuracy: Share of the pixels whose class is right.
        per_class: Class name -> intersection over union; nan for a class that is neither in the masks nor predicted.
        images: Their number.
        pixels: Number of pixels that count: those of masks that are not 255.
    """

    miou: float
    pixel_accuracy: float
    per_class: dict[str, float]
    images: int
    pixels: int

    @property
    def score(self) -> float:
        """The figure that says which of two is better."""
        return self.miou

    def figures(self) -> dict[str, float]:
        """Name -> figure, as a training run logs them."""
        return {'miou': self.miou, 'pixel_accuracy': self.pixel_accuracy}

    def __repr__(self) -> str:
        return f'SegmentationMetrics(mIoU {self.miou:.3f}, accuracy {self.pixel_accuracy:.3f}, {self.images} images)'

    def __str__(self) -> str:
        rows = [('class', 'IoU'), ('mean', f'{self.miou:.3f}')]
        rows += [(name, '-' if math.isnan(iou) else f'{iou:.3f}') for name, iou in self.per_class.items()]
        head = f'{self.images} pictures, {self.pixels} pixels, {self.pixel_accuracy:.3f} of them right'
        return '\n'.join([head, *aligned(rows)])

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; nan becomes None."""
        return {**without_nan(vars(self)), 'per_class': without_nan(self.per_class)}

    @classmethod
    def from_dict(cls, plain: dict[str, Any]) -> SegmentationMetrics:
        """The metrics from what `to_dict` returned."""
        return cls(**{**with_nan(plain), 'per_class': with_nan(plain['per_class'])})


class SegmentationEvaluation(NamedTuple):
    """The result of an evaluation.

    Attributes:
        metrics: The figures.
        confusion: int64 [K, K], pixels: rows are true classes, columns predicted ones.
        shown: Index of a record -> what was found in it, of a few for the report.
    """

    metrics: SegmentationMetrics
    confusion: np.ndarray
    shown: dict[int, Segmentation]


def count_pixels(truth: np.ndarray, predicted: np.ndarray, num_classes: int) -> np.ndarray:
    """Pixels of each true class (rows) by predicted class (columns), int64 [K, K].

    Args:
        truth: uint8 [H, W]; pixels of 255 do not count.
        predicted: uint8 [H, W].
        num_classes: K.
    """
    known = truth != IGNORE_INDEX
    pairs = truth[known].astype(np.int64) * num_classes + predicted[known]
    return np.bincount(pairs, minlength=num_classes**2).reshape(num_classes, num_classes)


def score_masks(confusion: np.ndarray, class_names: tuple[str, ...], images: int) -> SegmentationMetrics:
    """The figures of counted pixels, int64 [K, K] as from `count_pixels`."""
    right, total = np.diag(confusion), int(confusion.sum())
    union = confusion.sum(0) + confusion.sum(1) - right
    iou = np.where(union > 0, right / np.maximum(union, 1), math.nan)
    known = iou[union > 0]
    return SegmentationMetrics(
        miou=float(known.mean()) if len(known) else math.nan,
        pixel_accuracy=float(right.sum() / total) if total else math.nan,
        per_class=dict(zip(class_names, iou.tolist(), strict=True)),
        images=images,
        pixels=total,
    )


def spread(count: int, most: int = 12) -> list[int]:
    """At most so many of as many indices, evenly spaced."""
    return [i * count // min(most, count) for i in range(min(most, count))]


def count_labels(data: MaskSet, indices: Sequence[int], found: Iterable[Segmentation]) -> Counted:
    """The pixels of some records, image by image, of which only those of `spread` are kept.

    Args:
        data: The labelled set.
        indices: Of the records.
        found: What was found in each.
    """
    classes = len(data.class_names)
    confusion, shown, chosen = np.zeros((classes, classes), np.int64), {}, spread(len(data))
    for index, own in zip(indices, found, strict=True):
        confusion += count_pixels(data.records[index].read(), own.labels, classes)
        if index in chosen:
            shown[index] = own
    return confusion, shown


def score_labels(data: MaskSet, parts: Sequence[Counted]) -> SegmentationEvaluation:
    """The evaluation of a set from what `count_labels` gave of its parts."""
    confusion = np.sum([part[0] for part in parts], 0)
    shown = {index: own for part in parts for index, own in part[1].items()}
    return SegmentationEvaluation(score_masks(confusion, data.class_names, len(data)), confusion, shown)
