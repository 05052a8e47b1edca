"""Which detections are kept: the settings of post-processing, with each default of the package written once."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TypedDict, cast

from mbv3zoo.utils.sizes import MOST_BOXES, share, whole_number


class ThresholdOptions(TypedDict, total=False):
    """The fields of `Thresholds` as keyword arguments; those left out have its defaults."""

    score_thresh: float
    iou_thresh: float
    max_detections: int
    max_candidates: int
    multi_label: bool
    class_agnostic: bool
    classes: tuple[int, ...] | None
    nms: bool


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
        nms: Whether boxes suppress each other; False for maps that need no NMS, of which all above `score_thresh` are
            kept.

    Raises:
        ValueError: A threshold is no number in 0..1, or a maximum no whole number of at least 1.
    """

    score_thresh: float = 0.25
    iou_thresh: float = 0.45
    max_detections: int = 300
    max_candidates: int = 30_000
    multi_label: bool = False
    class_agnostic: bool = False
    classes: tuple[int, ...] | None = None
    nms: bool = True

    def __post_init__(self) -> None:
        for name in ('score_thresh', 'iou_thresh'):
            object.__setattr__(self, name, share(getattr(self, name), name))
        for name in ('max_detections', 'max_candidates'):
            object.__setattr__(self, name, whole_number(getattr(self, name), name, 1, MOST_BOXES))

    def options(self) -> ThresholdOptions:
        """The fields that are not at their defaults, as keyword arguments."""
        changed = {f.name: value for f in fields(self) if (value := getattr(self, f.name)) != f.default}
        return cast(ThresholdOptions, changed)


PREDICTION = Thresholds()
# COCO evaluation: nearly all candidates, several classes per box, and the 100 best detections of an image.
COCO_EVALUATION = Thresholds(score_thresh=0.001, iou_thresh=0.6, max_detections=100, multi_label=True)
