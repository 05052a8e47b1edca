"""Which detections are kept: the settings of post-processing, with each default of the package written once."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TypedDict, cast


class ThresholdOptions(TypedDict, total=False):
    """The fields of `Thresholds` as keyword arguments; those left out have its defaults."""

    score_thresh: float
    iou_thresh: float
    max_detections: int
    max_candidates: int
    multi_label: bool
    class_agnostic: bool
    classes: tuple[int, ...] | None


@dataclass(frozen=True)
class Thresholds:
    """Which detections of an image are kept; the defaults are those of prediction.

    Attributes:
        score_thresh: Only scores above it are kept, 0..1.
        iou_thresh: Of two boxes of one class whose IoU is above it, only the one with the higher score is kept, 0..1.
        max_detections: Most detections per image; the best are kept.
        max_candidates: Most candidates per image that enter NMS; the best do.
        multi_label: Whether a box is reported under each class whose score is above `score_thresh`, as COCO evaluation
            does, or under its best class only.
        class_agnostic: Whether boxes of different classes suppress each other.
        classes: Labels to keep; None keeps all. Others are dropped before NMS.

    Raises:
        ValueError: A threshold is not in 0..1, or a maximum is below 1.
    """

    score_thresh: float = 0.25
    iou_thresh: float = 0.45
    max_detections: int = 300
    max_candidates: int = 30_000
    multi_label: bool = False
    class_agnostic: bool = False
    classes: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        for name in ('score_thresh', 'iou_thresh'):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f'{name} is {getattr(self, name)}; expected a number in 0..1')
        for name in ('max_detections', 'max_candidates'):
            if getattr(self, name) < 1:
                raise ValueError(f'{name} is {getattr(self, name)}; expected at least 1')

    def options(self) -> ThresholdOptions:
        """The fields that are not at their defaults, as keyword arguments."""
        changed = {f.name: value for f in fields(self) if (value := getattr(self, f.name)) != f.default}
        return cast(ThresholdOptions, changed)


PREDICTION = Thresholds()
# COCO evaluation: nearly all candidates, several classes per box, and the 100 best detections of an image.
COCO_EVALUATION = Thresholds(score_thresh=0.001, iou_thresh=0.6, max_detections=100, multi_label=True)
