"""Records from labels in pixels, as COCO, Pascal VOC and Hub datasets have them: what holds for all three."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from mbv3zoo.data.label_values import as_area, as_flag, as_side, is_area
from mbv3zoo.data.records import LabelProblems, Record, clean_boxes
from mbv3zoo.data.stated_size import Placement, placement
from mbv3zoo.images.read import SIDEWAYS, read_stored_size
from mbv3zoo.utils.sizes import MAX_PIXELS
from mbv3zoo.utils.text import shown

# Fewest boxes to tell that they are not [x, y, width, height]; and fewest where every one of them says so.
_ENOUGH_BOXES, _ENOUGH_CLEAR = 10, 3


@dataclass(frozen=True)
class PixelLabel:
    """One object as a label file has it.

    Attributes:
        where: Its place in the file, for messages.
        values: The four numbers of its box as written.
        corners: Its box xyxy, in pixels of the frame that the file states.
        label: Class index.
        crowd: What the file says of it being a crowd or difficult; anything.
        areas: What the file says of its area in square pixels, best first; anything.
    """

    where: str
    values: tuple[float, float, float, float]
    corners: tuple[float, float, float, float]
    label: int
    crowd: Any = None
    areas: Sequence[Any] = ()

    @classmethod
    def of_xywh(cls, where: str, box: tuple[float, float, float, float], label: int, **more: Any) -> PixelLabel:
        x, y, width, height = box
        return cls(where, box, (x, y, x + width, y + height), label, **more)


@dataclass
class PixelLabels:
    """Collects the records of a dataset whose boxes are in pixels, and checks them as a whole.

    Attributes:
        source: Name used in error messages.
        problems: Where what is dropped, clipped or left out is added.
        crowd_name: What the format calls its crowds.
        max_pixels: Most pixels of an image.
        records: What was collected.
    """

    source: str | Path
    problems: LabelProblems
    crowd_name: str = 'iscrowd'
    max_pixels: int = MAX_PIXELS
    records: list[Record] = field(default_factory=list)
    # Of each object: its box as written, and the (width, height) of its frame.
    _values: list[tuple[float, ...]] = field(default_factory=list)
    _frames: list[tuple[float, float]] = field(default_factory=list)
    # As stated, in square pixels of the frame; NaN without.
    _areas: list[float] = field(default_factory=list)
    _resized: list[str] = field(default_factory=list)
    _turned: list[str] = field(default_factory=list)

    def add(
        self,
        path: Path,
        labels: Sequence[PixelLabel],
        where: str,
        stated: tuple[Any, Any] = (None, None),
        image_id: int | str | None = None,
    ) -> None:
        """Adds an image, unless it cannot be read or its boxes have no place in it.

        Args:
            path: The image.
            labels: Its objects.
            where: The image's place in the labels, for messages.
            stated: (width, height) that the labels state for the image; anything.
            image_id: Id in evaluation files; by default the number of the record.
        """
        try:
            stored, orientation = read_stored_size(path, self.max_pixels)
            frame = self._frame(stated, where)
            place = placement(frame, stored, orientation)
            upright = stored[::-1] if orientation in SIDEWAYS else stored
            # Without objects, nothing can be in the wrong place.
            if place is None and labels:
                raise ValueError(
                    f'its labels are for an image of {frame[0]:g} x {frame[1]:g} pixels, {path.name} has '
                    f'{upright[0]} x {upright[1]}; correct the size, or give the image that was labelled'
                )
        except ValueError as error:
            self.problems.add(where, f'left out: {error}')
            return
        place = place or Placement((1, 1), upright)
        if labels:
            self._values += [label.values for label in labels]
            self._frames += [frame if all(frame) else upright] * len(labels)
            self._areas += [as_area(label.areas[:1], 1, math.nan, math.inf) for label in labels]
            self._note(place, frame, upright, where)
        image_id = len(self.records) + 1 if image_id is None else image_id
        self.records.append(self._record(path, upright[::-1], self._distinct(labels), place, image_id))

    def finish(self, holds_xywh: bool = True) -> list[Record]:
        """The records. Adds to the problems how many images have another size than is stated.

        Args:
            holds_xywh: The format's boxes are [x, y, width, height].

        Raises:
            ValueError: The boxes are shares of the image's sides, or corners instead of [x, y, width, height].
        """
        if self._values:
            written = self._values, self._frames, self._areas
            boxes, sides, areas = (torch.tensor(each, dtype=torch.float64) for each in written)
            self._check_units(boxes, sides)
            if holds_xywh:
                self._check_is_xywh(boxes, sides, areas)
        count = len(self.records)
        if self._resized:
            text = f'{len(self._resized)} of {count} images have another size than is stated; their boxes are scaled'
            self.problems.add('sizes', f'{text} ({self._resized[0]})')
        if self._turned:
            text = f'{len(self._turned)} of {count} images are labelled as stored, without the turn that EXIF asks for'
            self.problems.add('sizes', f'{text}; their boxes are turned ({self._turned[0]})')
        return self.records

    def _frame(self, stated: tuple[Any, Any], where: str) -> tuple[float, float]:
        try:
            return as_side(stated[0]), as_side(stated[1])
        except ValueError as error:
            self.problems.add(where, f'stated size ignored: {error}')
            return 0.0, 0.0

    def _note(self, place: Placement, frame: tuple[float, float], upright: tuple[int, int], where: str) -> None:
        first = f'first: {where}, stated {frame[0]:g} x {frame[1]:g}, the file has {upright[0]} x {upright[1]}'
        if place.scale != (1, 1):
            self._resized.append(first)
        if place.orientation != 1:
            self._turned.append(first)

    def _distinct(self, labels: Sequence[PixelLabel]) -> list[PixelLabel]:
        first: dict[tuple[Any, ...], PixelLabel] = {}
        for label in labels:
            known = first.setdefault((label.label, label.values), label)
            if known is not label:
                self.problems.add(label.where, f'repeats {known.where}; dropped')
        return list(first.values())

    def _record(
        self, path: Path, size: tuple[int, int], labels: list[PixelLabel], place: Placement, image_id: int | str
    ) -> Record:
        corners = torch.tensor([label.corners for label in labels], dtype=torch.float64).reshape(-1, 4)
        where = [label.where for label in labels]
        boxes, keep = clean_boxes(place.place(corners).float(), size, where, self.problems)
        kept = [label for label, is_kept in zip(labels, keep.tolist(), strict=True) if is_kept]
        own = (boxes[:, 2:] - boxes[:, :2]).prod(1).tolist()
        scale, limit = place.area_scale, size[0] * size[1]
        areas = [as_area(label.areas, scale, box_area, limit) for label, box_area in zip(kept, own, strict=True)]
        for label in kept:
            # 0 is what some tools write where they know none.
            if label.areas and label.areas[0] not in (None, 0) and not is_area(label.areas[0], scale, limit):
                self.problems.add(label.where, f'area {shown(label.areas[0])} is no area in the image; not used')
        return Record(
            path,
            size,
            boxes,
            torch.tensor([label.label for label in kept], dtype=torch.int64),
            torch.tensor(areas, dtype=torch.float32),
            torch.tensor([self._is_crowd(label) for label in kept], dtype=torch.bool),
            image_id,
        )

    def _is_crowd(self, label: PixelLabel) -> bool:
        try:
            return as_flag(label.crowd, self.crowd_name)
        except ValueError as error:
            self.problems.add(label.where, f'{error}; taken as 0')
            return False

    def _check_units(self, boxes: torch.Tensor, sides: torch.Tensor) -> None:
        """Refuses boxes that are shares of the sides. `boxes` [N, 4] are as written, `sides` [N, 2] those of frames."""
        # Pixels of an image this small may be meant.
        if (sides > 2).all() and ((boxes >= 0) & (boxes <= 1)).all():
            raise ValueError(
                f'{self.source}: all of its {len(boxes)} boxes lie between 0 and 1, such as {boxes[0].tolist()}; they '
                "look like shares of the image's sides, and pixels are expected. Save a copy with boxes in pixels"
            )

    def _check_is_xywh(self, boxes: torch.Tensor, sides: torch.Tensor, areas: torch.Tensor) -> None:
        """Refuses boxes that are [x1, y1, x2, y2], as some files have them; they would be silently wrong."""
        leaves = (boxes[:, :2] + boxes[:, 2:] > sides + 1).any(1)
        if not ((boxes[:, 2:] > boxes[:, :2]) & (boxes[:, 2:] <= sides + 1)).all():
            return
        advice = 'they look like [x1, y1, x2, y2]. Save a copy with converted boxes, and give that'
        read = f'{self.source}: read as [x, y, width, height],'
        many = len(boxes) >= _ENOUGH_BOXES and leaves.float().mean() > 0.5
        if many or (len(boxes) >= _ENOUGH_CLEAR and leaves.all()):
            raise ValueError(f'{read} {int(leaves.sum())} of {len(boxes)} boxes leave their picture; {advice}')
        of_corners = (boxes[:, 2:] - boxes[:, :2]).prod(1)
        # Both within rounding; NaN is neither.
        told = ((areas / of_corners - 1).abs() < 0.01) & ((areas / boxes[:, 2:].prod(1) - 1).abs() > 0.01)
        if len(boxes) >= _ENOUGH_CLEAR and told.all():
            raise ValueError(f'{read} none of {len(boxes)} boxes has the area that is stated for it; {advice}')
