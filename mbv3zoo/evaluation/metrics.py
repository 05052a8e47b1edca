"""The figures of an evaluation, and a table of them."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, ClassVar, NamedTuple

import numpy as np

from mbv3zoo.detections import Detections
from mbv3zoo.utils.text import aligned_numbers

# The figures that a table has for each class and for all, and that a training run logs.
AP_NAMES = ('ap', 'ap50', 'ap75', 'ap_small', 'ap_medium', 'ap_large')


@dataclass(frozen=True)
class ClassMetrics:
    """COCO figures of one class, as in `Metrics`."""

    name: str
    ap: float
    ap50: float
    ap75: float
    ap_small: float
    ap_medium: float
    ap_large: float
    objects: int


class F1Curve(NamedTuple):
    """Precision, recall and F1 at an IoU of 0.5 over the score threshold; see `mbv3zoo.evaluation.f1.f1_curve`.

    Attributes:
        class_names: The names of the K classes.
        thresholds: float64 [101], 0 to 1 in steps of 0.01; counted are detections with a score above.
        precision: float64 [K, 101], nan for a class without objects, and where nothing is detected.
        recall, f1: float64 [K, 101], in 0..1; nan for a class without objects.
    """

    class_names: tuple[str, ...]
    thresholds: np.ndarray
    precision: np.ndarray
    recall: np.ndarray
    f1: np.ndarray

    @property
    def mean(self) -> np.ndarray:
        """F1 [101], mean over the classes that have objects; nan where none has."""
        known = self.f1[~np.isnan(self.f1[:, 0])]
        return known.mean(0) if len(known) else np.full(len(self.thresholds), math.nan)

    @property
    def best(self) -> tuple[float, float]:
        """The highest mean F1, and its threshold: the middle one of those side by side that have it.

        Both are nan where no class has objects, the threshold also where nothing is found.
        """
        mean = self.mean
        first = int(mean.argmax())
        if not mean[first] > 0:
            return float(mean[first]), math.nan
        count = int((mean[first:] < mean[first]).argmax()) if mean[-1] < mean[first] else len(mean) - first
        return float(mean[first]), float(self.thresholds[first + (count - 1) // 2])


@dataclass(frozen=True, repr=False)
class Metrics:
    """COCO figures in 0..1; nan if the dataset has no such object. `print` shows them as a table, class by class.

    Attributes:
        ap: Mean over IoU 0.50 to 0.95 in steps of 0.05, and over classes.
        ap50, ap75: At one IoU.
        ap_small, ap_medium, ap_large: Of objects under 32^2, between, and over 96^2 square pixels.
        per_class: Class name -> ap.
        images, objects: Their numbers, without crowds.
        ar1, ar10, ar100: Recall with at most 1, 10 and 100 detections per image, mean over the same IoUs and classes as
            `ap`.
        ar_small, ar_medium, ar_large: Recall with at most 100 detections per image, by size.
        classes: All figures per class, in the dataset's order.
        best_f1, best_threshold: The highest F1 at an IoU of 0.5, mean over the classes that have objects, and the score
            threshold with which `predict` has it; nan in what earlier versions wrote.
        f1_curve: The F1 of every threshold. It is not among the plain values, and None where those were read.
    """

    # pydantic checks what a run wrote, and takes the arrays of the curve as they are.
    __pydantic_config__: ClassVar[dict[str, bool]] = {'arbitrary_types_allowed': True}

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
    best_f1: float = math.nan
    best_threshold: float = math.nan
    f1_curve: F1Curve | None = field(default=None, repr=False, compare=False)

    def __repr__(self) -> str:
        return f'Metrics(AP {self.ap:.3f}, AP50 {self.ap50:.3f}, {self.images} images, {self.objects} objects)'

    def __str__(self) -> str:
        return format_table(self)

    @property
    def score(self) -> float:
        """The figure that says which of two is better."""
        return self.ap

    def figures(self) -> dict[str, float]:
        """Name -> figure, as a training run logs them."""
        return {name: getattr(self, name) for name in AP_NAMES}

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; nan becomes None."""
        plain = without_nan(vars(self))
        plain['per_class'] = without_nan(self.per_class)
        del plain['f1_curve']
        plain['classes'] = [without_nan(vars(row)) for row in self.classes]
        return plain

    @classmethod
    def from_dict(cls, plain: dict[str, Any]) -> Metrics:
        """The metrics from what `to_dict` returned."""
        values = with_nan(plain)
        values['per_class'] = with_nan(plain['per_class'])
        values['classes'] = tuple(ClassMetrics(**with_nan(row)) for row in plain['classes'])
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
    """The result of an evaluation.

    Attributes:
        metrics: The COCO figures.
        detections: One per record of the dataset, in its order.
        curves: Precision-recall curve of each class.
    """

    metrics: Metrics
    detections: list[Detections]
    curves: PrecisionRecall


def format_table(metrics: Metrics) -> str:
    """A table as text: a row for all classes, one per class, and the best F1; `-` if the dataset has no such object."""
    rows = [['class', 'AP', 'AP50', 'AP75', 'small', 'medium', 'large', 'objects'], _row('all', metrics)]
    rows += [_row(own.name, own) for own in metrics.classes]
    lines = aligned_numbers(rows)
    if not math.isnan(metrics.best_threshold):
        lines += [
            f'best F1 {metrics.best_f1:.3f} (mean of the classes, IoU 0.5) at --score-thresh '
            f'{metrics.best_threshold:.2f}'
        ]
    return '\n'.join([f'{metrics.images} pictures, {metrics.objects} objects', *lines])


def _row(name: str, figures: Metrics | ClassMetrics) -> list[str]:
    return [name, *(_cell(getattr(figures, ap)) for ap in AP_NAMES), str(figures.objects)]


def _cell(value: float) -> str:
    return '-' if math.isnan(value) else f'{value:.3f}'


def without_nan(values: dict[str, Any]) -> dict[str, Any]:
    return {key: None if isinstance(value, float) and math.isnan(value) else value for key, value in values.items()}


def with_nan(values: dict[str, Any]) -> dict[str, Any]:
    return {key: math.nan if value is None else value for key, value in values.items()}
