"""A labelled dataset in memory, whatever format it was read from."""

from __future__ import annotations

import logging
import math
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path

import torch
from PIL import Image

from mbv3zoo.images.draw import draw_captioned
from mbv3zoo.images.read import read_image
from mbv3zoo.utils.sizes import MAX_PIXELS

_logger = logging.getLogger(__name__)

# Names that tools use for the validation split.
VALIDATION_NAMES = ('val', 'validation', 'valid', 'dev')
# And for all splits.
SPLIT_NAMES = ('train', 'trainval', 'test', *VALIDATION_NAMES)

_LONGEST = 500  # characters of a line
_MOST_NAMED = 10  # classes in a repr
# What becomes of a label or image that is not as it should be.
OUTCOMES = ('dropped', 'clipped', 'left out', 'repeats', 'not used', 'taken once')


@dataclass(frozen=True)
class Record:
    """One image and its labels.

    Attributes:
        path: The image's file.
        size: (height, width) in pixels, with the EXIF orientation applied.
        boxes: float32 [N, 4] xyxy pixels, inside the image.
        labels: int64 [N], indices into the dataset's class names.
        areas: float32 [N], in square pixels, by which COCO evaluation calls an object small, medium or large: the
            annotation's own (a mask's) if it has one, else the box's.
        iscrowd: bool [N]; crowd boxes (and VOC's difficult ones) are no training targets, and evaluation ignores
            detections matched to them.
        image_id: Id in evaluation files; a text where a COCO file has texts.
    """

    path: Path
    size: tuple[int, int]
    boxes: torch.Tensor
    labels: torch.Tensor
    areas: torch.Tensor
    iscrowd: torch.Tensor
    image_id: int | str


@dataclass
class LabelProblems:
    """Collects problems of a dataset's labels, with file and line, to report them together."""

    source: str | Path
    lines: list[str] = field(default_factory=list)

    def add(self, where: str, what: str) -> None:
        line = f'{where}: {what}'
        # Names of files may be pages long; the end says what was done.
        self.lines.append(line if len(line) <= _LONGEST else f'{line[: _LONGEST // 2]} ... {line[-_LONGEST // 4 :]}')

    def report(self, limit: int = 20) -> None:
        """Logs one warning that counts all problems by their outcome and shows the first `limit`."""
        if self.lines:
            shown = '\n  '.join(self.lines[:limit])
            more = f'\n  ... and {len(self.lines) - limit} more' if len(self.lines) > limit else ''
            found = Counter(outcome for line in self.lines for outcome in OUTCOMES if outcome in line)
            counts = ', '.join(f'{count} {outcome}' for outcome, count in found.items()) if more else ''
            counts = f' ({counts})' if counts else ''
            _logger.warning('%s: %d label problems%s:\n  %s%s', self.source, len(self.lines), counts, shown, more)


@dataclass(frozen=True, repr=False)
class DetectionSet:
    """Records of one split, its class names, and problems found in its labels.

    Attributes:
        records: The images and their labels.
        class_names: One per class.
        problems: One line each.
        category_ids: Category id of each class in evaluation files; 1, 2, ... by default.
    """

    records: list[Record]
    class_names: tuple[str, ...]
    problems: tuple[str, ...] = ()
    category_ids: tuple[int | str, ...] = ()

    def __post_init__(self) -> None:
        if not self.category_ids:
            object.__setattr__(self, 'category_ids', tuple(range(1, len(self.class_names) + 1)))

    def __len__(self) -> int:
        return len(self.records)

    def __repr__(self) -> str:
        objects = sum(len(record.labels) for record in self.records)
        names = ', '.join(self.class_names[:_MOST_NAMED]) + (', ...' if len(self.class_names) > _MOST_NAMED else '')
        return f'DetectionSet({len(self)} images, {objects} objects, {len(self.class_names)} classes: {names})'

    def draw(self, index: int) -> Image.Image:
        """Draws the boxes and class names of a record on a copy of its image.

        Args:
            index: Its place in `records`.

        Returns:
            A new RGB image of the original size.

        Raises:
            IndexError: There is no such record.
            ValueError: Its image cannot be read.
        """
        record = self.records[index]
        canvas = Image.fromarray(read_image(record.path, max_pixels=max(MAX_PIXELS, math.prod(record.size))))
        rows = zip(record.boxes.tolist(), record.labels.tolist(), strict=True)
        draw_captioned(canvas, [(box, label, self.class_names[label]) for box, label in rows])
        return canvas

    @property
    def dropped(self) -> int:
        """Number of objects that were dropped when they were read, those that are there twice left aside."""
        return sum(line.endswith('dropped') and ': repeats ' not in line for line in self.problems)


def find_split(asked: str, known: Collection[str]) -> str | None:
    """The dataset's name for a split, or None: 'val' also finds 'validation', 'valid' and 'dev'."""
    others = VALIDATION_NAMES if asked in VALIDATION_NAMES else ()
    return next((name for name in (asked, *others) if name in known), None)


def clean_boxes(
    boxes: torch.Tensor, size: tuple[int, int], where: list[str], problems: LabelProblems
) -> tuple[torch.Tensor, torch.Tensor]:
    """Clips boxes to their image and drops those without area in it; each change is added to `problems`.

    Args:
        boxes: float32 [N, 4] xyxy pixels.
        size: (height, width) of the image.
        where: File and line of each box.
        problems: Where changes are added.

    Returns:
        The clipped boxes [M, 4], and which were kept, bool [N].
    """
    height, width = size
    limit = boxes.new_tensor([width, height, width, height])
    clipped = boxes.nan_to_num(-1).clamp(min=0).minimum(limit)
    keep = boxes.isfinite().all(1) & (clipped[:, 2] > clipped[:, 0]) & (clipped[:, 3] > clipped[:, 1])
    # Up to one pixel outside is rounding and not reported.
    outside = (boxes - clipped).abs().amax(1) > 1
    for i in torch.nonzero(~keep | outside).flatten().tolist():
        box = [round(v, 1) for v in boxes[i].tolist()]
        action = 'clipped' if keep[i] else 'dropped'
        problems.add(where[i], f'box {box} (xyxy pixels) is not inside the picture of {width} x {height}; {action}')
    return clipped[keep], keep
