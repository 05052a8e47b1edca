"""The images that labels in pixels are of: their sizes as labelled and as stored, and the way from one to the other."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mbv3zoo.data.image_sizes import stored_sizes
from mbv3zoo.data.label_values import as_side
from mbv3zoo.data.problems import LabelProblems
from mbv3zoo.data.stated_size import Placement, placement
from mbv3zoo.images.read import upright_size


class LabelledFile(NamedTuple):
    """An image as a label file has it.

    Attributes:
        path: The image.
        where: The image's place in the labels, for messages.
        stated: (width, height) that the labels state for it; anything.
        image_id: Id in evaluation files; None takes the number of the record.
    """

    path: str | Path
    where: str
    stated: tuple[Any, Any]
    image_id: int | str | None


class Frames(NamedTuple):
    """The images as columns.

    Attributes:
        is_kept: bool [M]; the others cannot be read, or their boxes have no place in them.
        sizes: int64 [M, 2], (height, width) upright.
        stated: float64 [M, 2], (width, height) that the boxes are in.
        scales: float64 [M, 2], (x, y) factors into the frame that the file has.
        orientations: int64 [M], the EXIF orientation that boxes are turned by; 1 leaves them.
        notes: Of each image whose boxes are scaled, and of each whose boxes are turned, what is said of the first.
    """

    is_kept: np.ndarray
    sizes: np.ndarray
    stated: np.ndarray
    scales: np.ndarray
    orientations: np.ndarray
    notes: dict[str, list[str]]

    @classmethod
    def read(
        cls, images: Sequence[LabelledFile], counts: np.ndarray, max_pixels: int, problems: LabelProblems
    ) -> Frames:
        """Opens images for their sizes.

        Args:
            images: M images.
            counts: int64 [M], the number of objects of each.
            max_pixels: Most pixels of an image.
            problems: Where images that are left out, and stated sizes that are none, are added.
        """
        number = len(images)
        found = cls(
            np.zeros(number, bool), np.ones((number, 2), np.int64), np.ones((number, 2)), np.ones((number, 2)),
            np.ones(number, np.int64), {'scaled': [], 'turned': []},
        )  # fmt: skip
        opened = stored_sizes([image.path for image in images], max_pixels)
        for i, (image, size) in enumerate(zip(images, opened, strict=True)):
            try:
                found._set(i, image, size, bool(counts[i]), problems)
            except ValueError as error:
                problems.add(image.where, f'left out: {error}')
        return found

    def _set(
        self,
        i: int,
        image: LabelledFile,
        opened: tuple[tuple[int, int], int] | ValueError,
        has_labels: bool,
        problems: LabelProblems,
    ) -> None:
        if isinstance(opened, ValueError):
            raise opened
        stored, orientation = opened
        frame = _stated(image, problems)
        place = placement(frame, stored, orientation)
        upright = upright_size(stored, orientation)
        # Without objects, nothing can be in the wrong place.
        if place is None and has_labels:
            name = os.path.basename(image.path)
            raise ValueError(
                f'its labels are for an image of {frame[0]:g} x {frame[1]:g} pixels, {name} has '
                f'{upright[0]} x {upright[1]}; correct the size, or give the image that was labelled'
            )
        place = place or Placement()
        self.is_kept[i], self.sizes[i] = True, upright[::-1]
        self.stated[i] = frame if all(frame) else upright
        self.scales[i], self.orientations[i] = place.scale, place.orientation
        first = f'first: {image.where}, stated {frame[0]:g} x {frame[1]:g}, the file has {upright[0]} x {upright[1]}'
        if has_labels and place.scale != (1, 1):
            self.notes['scaled'].append(first)
        if has_labels and place.orientation != 1:
            self.notes['turned'].append(first)

    def report(self, problems: LabelProblems) -> None:
        """Adds how many images have another size than is stated, and how many are labelled without their turn."""
        count = int(self.is_kept.sum())
        scaled, turned = self.notes['scaled'], self.notes['turned']
        if scaled:
            text = f'{len(scaled)} of {count} images have another size than is stated; their boxes are scaled'
            problems.add('sizes', f'{text} ({scaled[0]})')
        if turned:
            text = f'{len(turned)} of {count} images are labelled as stored, without the turn that EXIF asks for'
            problems.add('sizes', f'{text}; their boxes are turned ({turned[0]})')


def _stated(image: LabelledFile, problems: LabelProblems) -> tuple[float, float]:
    try:
        return as_side(image.stated[0]), as_side(image.stated[1])
    except ValueError as error:
        problems.add(image.where, f'stated size ignored: {error}')
        return 0.0, 0.0
