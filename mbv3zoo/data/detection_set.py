"""A labelled dataset in memory, whatever format it was read from."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass

from PIL import Image

from mbv3zoo.data.records import Records
from mbv3zoo.images.draw import draw_captioned
from mbv3zoo.images.read import read_image
from mbv3zoo.utils.sizes import MAX_PIXELS

# Names that tools use for the validation split.
VALIDATION_NAMES = ('val', 'validation', 'valid', 'dev')
# And for all splits.
SPLIT_NAMES = ('train', 'trainval', 'test', *VALIDATION_NAMES)

_MOST_NAMED = 10  # classes in a repr


@dataclass(frozen=True, repr=False)
class DetectionSet:
    """Records of one split, its class names, and problems found in its labels.

    Attributes:
        records: The images and their labels; given as a list of `Record`, they are joined.
        class_names: One per class.
        problems: One line each.
        category_ids: Category id of each class in evaluation files; 1, 2, ... by default.
    """

    records: Records
    class_names: tuple[str, ...]
    problems: tuple[str, ...] = ()
    category_ids: tuple[int | str, ...] = ()

    def __post_init__(self) -> None:
        if not isinstance(self.records, Records):
            object.__setattr__(self, 'records', Records.of(self.records))
        if not self.category_ids:
            object.__setattr__(self, 'category_ids', tuple(range(1, len(self.class_names) + 1)))

    def __len__(self) -> int:
        return len(self.records)

    def __repr__(self) -> str:
        objects = len(self.records.labels)
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
