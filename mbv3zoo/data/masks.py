"""A dataset of images and masks in memory, whatever format it was read from."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from faster_coco_eval import mask as coco_mask
from PIL import Image

from mbv3zoo.data.coco_masks import segmentation_box
from mbv3zoo.data.pictures import check_is_there
from mbv3zoo.data.problems import LabelProblems
from mbv3zoo.images.masks import IGNORE_INDEX, draw_labels, read_mask
from mbv3zoo.images.read import read_image, read_size
from mbv3zoo.utils.sizes import MAX_PIXELS


class Shapes(NamedTuple):
    """The label map of an image, as COCO states it: objects to be drawn one over the other, the last on top.

    Attributes:
        size: (height, width) in pixels.
        objects: Polygons, or run lengths, of each object; its class, or 255 for a crowd.
    """

    size: tuple[int, int]
    objects: tuple[tuple[Any, int], ...]

    def draw(self) -> np.ndarray:
        """uint8 [height, width], 0 where no object is.

        Raises:
            ValueError: An object is neither polygons nor run lengths of this size.
        """
        labels = np.zeros(self.size, np.uint8)
        for shape, label in self.objects:
            try:
                segmentation_box(shape)  # refuses what is neither
                whole = isinstance(shape, dict) and isinstance(shape['counts'], (str, bytes))
                runs = shape if whole else coco_mask.frPyObjects(shape, *self.size)
                inside = coco_mask.decode(coco_mask.merge(runs) if isinstance(runs, list) else runs)
                labels[inside.astype(bool)] = label  # of one size, or an error
            except (KeyError, TypeError, IndexError, RuntimeError, ValueError, OverflowError) as error:
                raise ValueError(f'a segmentation is neither polygons nor run lengths of {self.size}') from error
        return labels


@dataclass(frozen=True)
class MaskRecord:
    """One image and its mask.

    Attributes:
        path: The image's file.
        size: (height, width) in pixels, with the EXIF orientation applied.
        mask: Its mask: a file, or shapes.
        classes: The classes in it, without 255.
        image_id: Id in evaluation files.
    """

    path: Path
    size: tuple[int, int]
    mask: Path | Shapes
    classes: frozenset[int]
    image_id: int | str

    def read(self) -> np.ndarray:
        """The class of each pixel, uint8 [H, W]; 255 where there is none.

        A mask that was damaged or changed since the dataset was read is 255 everywhere, with a warning: one of
        thousands should not end a long training run.

        Raises:
            FileNotFoundError: The file is gone, and perhaps the whole dataset.
        """
        if isinstance(self.mask, Shapes):
            return self.mask.draw()
        try:
            labels = read_mask(self.mask, math.prod(self.size))
            if labels.shape != self.size or classes_in(labels) != self.classes:
                raise ValueError(f'{self.mask}: has changed since the data set was read')
        except ValueError as error:
            check_is_there(self.mask, error)
            warnings.warn(f'{error}; its pixels are left out', stacklevel=2)
            return np.full(self.size, IGNORE_INDEX, np.uint8)
        return labels


@dataclass(frozen=True, repr=False)
class MaskSet:
    """Records of one split, its class names, and problems found in its masks.

    Attributes:
        records: The images and their masks.
        class_names: One per class.
        problems: One line each.
    """

    records: list[MaskRecord]
    class_names: tuple[str, ...]
    problems: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.records)

    def __repr__(self) -> str:
        names = ', '.join(self.class_names[:10]) + (', ...' if len(self.class_names) > 10 else '')
        return f'MaskSet({len(self)} images, {len(self.class_names)} classes: {names})'

    def draw(self, index: int) -> Image.Image:
        """Draws the mask of a record over a copy of its image, with the names of its classes."""
        record = self.records[index]
        canvas = Image.fromarray(read_image(record.path, max_pixels=max(MAX_PIXELS, math.prod(record.size))))
        return draw_labels(canvas, record.read(), self.class_names)


def classes_in(labels: np.ndarray) -> frozenset[int]:
    """The classes of a label map, uint8 [H, W], without 255."""
    return frozenset(np.flatnonzero(np.bincount(labels.ravel())).tolist()) - {IGNORE_INDEX}


def read_masks(
    source: Any,
    rows: Iterable[tuple[str, Path, Path | Shapes]],
    class_names: tuple[str, ...],
    problems: LabelProblems,
    max_pixels: int = MAX_PIXELS,
) -> MaskSet:
    """Checks pairs of images and masks; what does not fit is left out, with a line in `problems`.

    Args:
        source: Name of the dataset, for messages.
        rows: The place of each pair for messages, its image, its mask.
        class_names: The classes; where empty, they are called by their numbers, up to the highest value.
        problems: What was found so far.
        max_pixels: Most pixels of an image.

    Raises:
        ValueError: No pair is left, there are more than 255 classes, or the masks are black and white (0 and 255).
    """
    if len(class_names) > IGNORE_INDEX:
        raise ValueError(f'{source}: has {len(class_names)} classes; expected at most {IGNORE_INDEX}')
    records, ignored, before = [], False, len(problems.lines)
    for number, (where, path, mask) in enumerate(rows, start=1):
        try:
            width, height = read_size(path, max_pixels)
            labels = mask.draw() if isinstance(mask, Shapes) else read_mask(mask, max_pixels)
            if labels.shape != (height, width):
                raise ValueError(
                    f'the mask is for a picture of {labels.shape[0]} x {labels.shape[1]} pixels (height x width), '
                    f'{path.name} has {height} x {width}; give the mask of this picture in its size'
                )
            found = classes_in(labels)
            if class_names and (unknown := [label for label in sorted(found) if label >= len(class_names)]):
                raise ValueError(
                    f'the mask has the value {unknown[0]}, and the classes are 0 to {len(class_names) - 1} '
                    f'({IGNORE_INDEX} for none); correct the mask, or name more classes'
                )
            records.append(MaskRecord(path, (height, width), mask, found, number))
            ignored |= isinstance(mask, Path) and bool((labels == IGNORE_INDEX).any())
        except ValueError as error:
            problems.add(where, f'left out: {str(error).removeprefix(f"{mask}: ")}')
    if not records:
        hint = ': ' + (problems.lines[before:] or problems.lines)[0] if problems.lines else ''
        raise ValueError(f'{source}: no picture with a mask is left{hint}')
    if ignored and not any(record.classes - {0} for record in records):
        raise ValueError(
            f'{source}: the masks have no values but 0 and {IGNORE_INDEX}, which stands for no class; expected the '
            f'index of a class in each pixel, so write 1 in place of {IGNORE_INDEX} in black and white masks'
        )
    problems.report()
    most = max((label for record in records for label in record.classes), default=0)
    return MaskSet(records, class_names or tuple(map(str, range(most + 1))), tuple(problems.lines))
