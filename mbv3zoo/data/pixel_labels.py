"""Records from labels in pixels, as COCO, Pascal VOC and Hub datasets have them: what holds for all three."""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torchvision.ops import box_area

from mbv3zoo.data.cleaning import clean_boxes
from mbv3zoo.data.columns import Texts, offsets
from mbv3zoo.data.label_frames import Frames, LabelledFile
from mbv3zoo.data.label_values import as_flag
from mbv3zoo.data.problems import LabelProblems
from mbv3zoo.data.records import Records, image_ids
from mbv3zoo.data.stated_size import placed
from mbv3zoo.data.units import check_is_xywh, check_units
from mbv3zoo.utils.sizes import MAX_PIXELS
from mbv3zoo.utils.text import shown


class PixelLabel(NamedTuple):
    """One object as a label file has it.

    Attributes:
        where: Its place in the file, for messages; anything that the `place` of `PixelLabels` puts into words.
        values: The four numbers of its box as written.
        label: Class index.
        crowd: What the file says of it being a crowd or difficult; anything.
        areas: What the file says of its area in square pixels, best first, two at most; anything.
    """

    where: Any
    values: tuple[float, float, float, float]
    label: int
    crowd: Any = None
    areas: Sequence[Any] = ()


class PixelLabels:
    """Collects the images and objects of a dataset whose boxes are in pixels, and checks them as a whole.

    Args:
        source: Name used in error messages.
        problems: Where what is dropped, clipped or left out is added.
        crowd_name: What the format calls its crowds.
        max_pixels: Most pixels of an image.
        is_xywh: Boxes are [x, y, width, height]; else [x1, y1, x2, y2] of the first and last pixel, counted from 1.
        place: Puts the `where` of an object into words.
    """

    def __init__(
        self,
        source: str | Path,
        problems: LabelProblems,
        crowd_name: str = 'iscrowd',
        max_pixels: int = MAX_PIXELS,
        is_xywh: bool = True,
        place: Callable[[Any], str] = str,
    ) -> None:
        self.source, self.problems, self.crowd_name = source, problems, crowd_name
        self.max_pixels, self.is_xywh, self.place = max_pixels, is_xywh, place
        self.images: list[LabelledFile] = []
        # Of each object: its image, class and box, and what is looked at only where it is odd.
        self._owners, self._classes, self._values = array('q'), array('q'), array('d')
        self._where: list[Any] = []
        self._crowds: list[Any] = []
        self._areas: list[Any] = []
        self._more_areas: dict[int, Any] = {}

    def add_image(
        self, path: str | Path, where: str, stated: tuple[Any, Any] = (None, None), image_id: int | str | None = None
    ) -> int:
        """Adds an image.

        Args:
            path: The image.
            where: The image's place in the labels, for messages.
            stated: (width, height) that the labels state for the image; anything.
            image_id: Id in evaluation files; by default the number of the record.

        Returns:
            Its index, for its objects.
        """
        self.images.append(LabelledFile(path, where, stated, image_id))
        return len(self.images) - 1

    def add(self, image: int, label: PixelLabel) -> None:
        """Adds an object of an image; those of one image in their order."""
        if len(label.areas) > 1:
            self._more_areas[len(self._owners)] = label.areas[1]
        self._owners.append(image)
        self._classes.append(label.label)
        self._values.extend(label.values)
        self._where.append(label.where)
        self._crowds.append(label.crowd)
        self._areas.append(label.areas[0] if label.areas else None)

    def finish(self) -> Records:
        """The records. Adds to the problems what is left out, dropped or clipped, and how many images have another size
        than is stated.

        Raises:
            ValueError: The boxes are shares of the image's sides, or corners instead of [x, y, width, height].
        """
        counts = np.bincount(np.array(self._owners), minlength=len(self.images))
        frames = Frames.read(self.images, counts, self.max_pixels, self.problems)
        rows = self._rows(frames)
        if len(rows.values):
            stated = frames.stated[rows.owners]
            check_units(self.source, rows.values, stated)
            if self.is_xywh:
                check_is_xywh(self.source, rows.values, stated, np.where(rows.areas > 0, rows.areas, np.nan))
        frames.report(self.problems)
        rows = rows.take(self._first_of_each(rows))
        corners = rows.values.copy()
        if self.is_xywh:
            corners[:, 2:] += corners[:, :2]
        else:
            corners[:, :2] -= 1
        sizes = frames.sizes[rows.owners]
        boxes, keep = clean_boxes(
            torch.from_numpy(
                placed(corners, frames.scales[rows.owners], frames.orientations[rows.owners], sizes)
            ).float(),
            torch.from_numpy(sizes),
            lambda i: self.place(self._where[rows.indices[i]]),
            self.problems,
        )
        kept = rows.take(np.flatnonzero(keep.numpy()))
        boxes = boxes[keep]
        areas = self._own_areas(kept, box_area(boxes).numpy(), frames)
        crowds = self._is_crowd(kept)
        return self._records(frames, kept, boxes, areas, crowds)

    def _rows(self, frames: Frames) -> _Rows:
        """The objects of the images that are kept, in order of these."""
        owners = np.array(self._owners, np.int64)
        order = np.argsort(owners, kind='stable')
        order = order[frames.is_kept[owners[order]]]
        areas = np.fromiter(map(_number, self._areas), np.float64, len(self._areas))
        more = np.full(len(areas), np.nan)
        for index, area in self._more_areas.items():
            more[index] = _number(area)
        values = np.array(self._values).reshape(-1, 4)
        return _Rows(order, owners[order], np.array(self._classes)[order], values[order], areas[order], more[order])

    def _first_of_each(self, rows: _Rows) -> np.ndarray:
        """Indices of the rows that repeat no other one of their image."""
        keys = (*rows.values.T, rows.classes, rows.owners)
        order = np.lexsort(keys)
        sorted_keys = [key[order] for key in keys]
        # NaN equals nothing.
        repeats = np.logical_and.reduce([key[1:] == key[:-1] for key in sorted_keys])
        first, is_first = order.copy(), np.ones(len(order), bool)
        for i in np.flatnonzero(repeats).tolist():
            first[i + 1] = first[i]
        for row, known in sorted(zip(order[1:][repeats].tolist(), first[1:][repeats].tolist(), strict=True)):
            is_first[row] = False
            where, before = (self.place(self._where[rows.indices[each]]) for each in (row, known))
            self.problems.add(where, f'repeats {before}; dropped')
        return np.flatnonzero(is_first)

    def _own_areas(self, rows: _Rows, of_boxes: np.ndarray, frames: Frames) -> np.ndarray:
        """The area of each object: the first stated one that an object of the image can have, else the box's."""
        scale = frames.scales[rows.owners].prod(1)
        limit = frames.sizes[rows.owners].prod(1)
        first, second = (_is_area(areas * scale, limit) for areas in (rows.areas, rows.more_areas))
        for i in np.flatnonzero(~first).tolist():
            stated = self._areas[rows.indices[i]]
            # 0 is what some tools write where they know none.
            if stated not in (None, 0):
                where = self.place(self._where[rows.indices[i]])
                self.problems.add(where, f'area {shown(stated)} is no area in the image; not used')
        return np.where(first, rows.areas * scale, np.where(second, rows.more_areas * scale, of_boxes))

    def _is_crowd(self, rows: _Rows) -> np.ndarray:
        def is_crowd(index: int) -> bool:
            value = self._crowds[index]
            if value is None:
                return False
            try:
                return as_flag(value, self.crowd_name)
            except ValueError as error:
                self.problems.add(self.place(self._where[index]), f'{error}; taken as 0')
                return False

        return np.fromiter(map(is_crowd, rows.indices.tolist()), bool, len(rows.indices))

    def _records(
        self, frames: Frames, rows: _Rows, boxes: torch.Tensor, areas: np.ndarray, crowds: np.ndarray
    ) -> Records:
        kept = np.flatnonzero(frames.is_kept)
        counts = np.bincount(rows.owners, minlength=len(self.images))[kept]
        images = [self.images[i] for i in kept.tolist()]
        ids = [number if each.image_id is None else each.image_id for number, each in enumerate(images, start=1)]
        return Records(
            Texts.of(str(each.path) for each in images),
            torch.from_numpy(frames.sizes[kept]),
            offsets(torch.from_numpy(counts)),
            boxes,
            torch.from_numpy(rows.classes),
            torch.from_numpy(areas).float(),
            torch.from_numpy(crowds),
            image_ids(ids),
        )


class _Rows(NamedTuple):
    """Objects as columns: where each is among all, its image, class, box as written, and areas (NaN where none)."""

    indices: np.ndarray
    owners: np.ndarray
    classes: np.ndarray
    values: np.ndarray
    areas: np.ndarray
    more_areas: np.ndarray

    def take(self, chosen: np.ndarray) -> _Rows:
        return _Rows(*(column[chosen] for column in self))


def _number(value: Any) -> float:
    """A stated area; NaN where it is no number."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return math.nan
    try:
        return float(value)
    except OverflowError:
        return math.nan


def _is_area(values: np.ndarray, limits: np.ndarray) -> np.ndarray:
    with np.errstate(invalid='ignore'):
        return (values > 0) & (values <= limits)
