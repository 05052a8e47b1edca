"""The one internal form of a labelled data set, whatever it was read from."""

from __future__ import annotations

import logging
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path

import torch

_logger = logging.getLogger(__name__)

# Each tool has its own word for the split that a detector is validated on.
_VALIDATION_NAMES = ('val', 'validation', 'valid', 'dev')


@dataclass(frozen=True)
class Record:
    """One picture and its labels.

    Attributes:
        path: The picture's file.
        size: (height, width) in pixels, after the EXIF turn.
        boxes: float32 [N, 4] xyxy in pixels of the picture, inside it.
        labels: int64 [N], indices into the data set's class names.
        areas: float32 [N], square pixels, that decide whether an object counts as small, medium or large: the
            annotation's own where it states one (a mask's), else the box's.
        iscrowd: bool [N]; crowd boxes (and what Pascal VOC calls difficult) are no training targets, and detections on
            them count neither way.
        image_id: The id in evaluation files.
    """

    path: Path
    size: tuple[int, int]
    boxes: torch.Tensor
    labels: torch.Tensor
    areas: torch.Tensor
    iscrowd: torch.Tensor
    image_id: int


@dataclass
class LabelProblems:
    """Collects what is wrong with a data set's labels, to be told once, with file and line."""

    source: str | Path
    lines: list[str] = field(default_factory=list)

    def add(self, where: str, what: str) -> None:
        self.lines.append(f'{where}: {what}')

    def report(self, limit: int = 20) -> None:
        """Logs one warning that counts all problems and shows the first `limit`."""
        if self.lines:
            shown = '\n  '.join(self.lines[:limit])
            more = f'\n  ... and {len(self.lines) - limit} more' if len(self.lines) > limit else ''
            _logger.warning('%s: %d label problems:\n  %s%s', self.source, len(self.lines), shown, more)


@dataclass(frozen=True)
class DetectionSet:
    """Records of one split, the names of their classes, and what was found wrong with the labels.

    Attributes:
        records: The pictures and their labels.
        class_names: One a class, in the order of the labels.
        problems: One line each.
        category_ids: The ids that evaluation files have for the classes, in ascending order; 1, 2, ... by default.
    """

    records: list[Record]
    class_names: tuple[str, ...]
    problems: tuple[str, ...] = ()
    category_ids: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if not self.category_ids:
            object.__setattr__(self, 'category_ids', tuple(range(1, len(self.class_names) + 1)))

    def __len__(self) -> int:
        return len(self.records)


def find_split(asked: str, known: Collection[str]) -> str | None:
    """The name that a data set has for a split, or None: 'val' also finds 'validation', 'valid' and 'dev'."""
    others = _VALIDATION_NAMES if asked in _VALIDATION_NAMES else ()
    return next((name for name in (asked, *others) if name in known), None)


def clean_boxes(
    boxes: torch.Tensor, size: tuple[int, int], where: list[str], problems: LabelProblems
) -> tuple[torch.Tensor, torch.Tensor]:
    """Clips boxes to their picture and drops those without any area in it. Each change is a reported problem.

    Args:
        boxes: float32 [N, 4] xyxy pixels.
        size: (height, width) of the picture.
        where: File and line of each box.
        problems: Takes the report.

    Returns:
        The clipped boxes [M, 4] and the kept rows bool [N].
    """
    height, width = size
    limit = boxes.new_tensor([width, height, width, height])
    clipped = boxes.nan_to_num(-1).clamp(min=0).minimum(limit)
    keep = boxes.isfinite().all(1) & (clipped[:, 2] > clipped[:, 0]) & (clipped[:, 3] > clipped[:, 1])
    # Writers round to a few digits: a pixel over the edge is no mistake of the person who drew the box.
    outside = (boxes - clipped).abs().amax(1) > 1
    for i in torch.nonzero(~keep | outside).flatten().tolist():
        box = [round(v, 1) for v in boxes[i].tolist()]
        action = 'clipped' if keep[i] else 'dropped'
        problems.add(where[i], f'box {box} (xyxy pixels) is not inside the picture of {width} x {height}; {action}')
    return clipped[keep], keep
