"""The records of a split, as columns: one array of each kind for all images, which loader processes share."""

from __future__ import annotations

import math
import operator
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, overload

import torch
from PIL import Image

from mbv3zoo.data.columns import Texts, offsets, taken
from mbv3zoo.images.read import read_image
from mbv3zoo.utils.sizes import MAX_PIXELS


class Tile(NamedTuple):
    """Where a tile lies in its image, and the (height, width) of that, in pixels."""

    top: int
    left: int
    image_size: tuple[int, int]


@dataclass(frozen=True)
class Record:
    """One image and its labels.

    Attributes:
        path: The image's file; of an image in an Arrow file its place there (`mbv3zoo.images.embedded`).
        size: (height, width) in pixels, with the EXIF orientation applied.
        boxes: float32 [N, 4] xyxy pixels, inside the image.
        labels: int64 [N], indices into the dataset's class names.
        areas: float32 [N], in square pixels, by which COCO evaluation calls an object small, medium or large: the
            annotation's own (a mask's) if it has one, else the box's.
        iscrowd: bool [N]; crowd boxes (and VOC's difficult ones) are no training targets, and evaluation ignores
            detections matched to them.
        image_id: Id in evaluation files; a text where a COCO file has texts.
        tile: The part of the file that the image is; None for all of it.
    """

    path: Path
    size: tuple[int, int]
    boxes: torch.Tensor
    labels: torch.Tensor
    areas: torch.Tensor
    iscrowd: torch.Tensor
    image_id: int | str
    tile: Tile | None = None

    def image(self) -> Image.Image:
        """The image, or the tile of it: RGB, upright. Also of a data set of the Hub, whose path names no file.

        Raises:
            ValueError: It cannot be read.
        """
        size = self.size if self.tile is None else self.tile.image_size
        pixels = read_image(self.path, max_pixels=max(MAX_PIXELS, math.prod(size)))
        if self.tile is not None:
            top, left = self.tile.top, self.tile.left
            pixels = pixels[top : top + self.size[0], left : left + self.size[1]]
        return Image.fromarray(pixels)


@dataclass(frozen=True, eq=False)
class Records(Sequence[Record]):
    """All records of a split. Each `Record` is made when it is asked for; its tensors are views of the columns.

    Attributes:
        paths: The file of each of M images.
        sizes: int64 [M, 2], (height, width) of each.
        starts: int64 [M + 1], the first object of each, and the number N of all objects.
        boxes, labels, areas, iscrowd: Of all objects, float32 [N, 4], int64 [N], float32 [N] and bool [N].
        image_ids: Of each image: int64 [M], or texts; a tuple of numbers that no int64 can hold.
        tiles: int64 [M, 4], the `Tile` of each: top, left, height and width of its file; None where images are whole.

    Example:
        >>> data = mbv3zoo.load_dataset('data.yaml', 'val')
        >>> data.records.sizes.shape, data.records.boxes.shape[1:], len(data.records[0].boxes)
        (torch.Size([4, 2]), torch.Size([4]), 3)
    """

    paths: Texts
    sizes: torch.Tensor
    starts: torch.Tensor
    boxes: torch.Tensor
    labels: torch.Tensor
    areas: torch.Tensor
    iscrowd: torch.Tensor
    image_ids: torch.Tensor | Texts | tuple[int, ...]
    tiles: torch.Tensor | None = None

    @classmethod
    def of(cls, records: Iterable[Record]) -> Records:
        """Columns of single records."""
        rows = list(records)
        counts = torch.tensor([len(row.labels) for row in rows], dtype=torch.int64)

        def joined(name: str, like: torch.Tensor) -> torch.Tensor:
            return torch.cat([like, *(getattr(row, name) for row in rows)])

        return cls(
            Texts.of(str(row.path) for row in rows),
            torch.tensor([row.size for row in rows], dtype=torch.int64).reshape(-1, 2),
            offsets(counts),
            joined('boxes', torch.empty(0, 4)),
            joined('labels', torch.empty(0, dtype=torch.int64)),
            joined('areas', torch.empty(0)),
            joined('iscrowd', torch.empty(0, dtype=torch.bool)),
            image_ids([row.image_id for row in rows]),
        )

    def __len__(self) -> int:
        return len(self.sizes)

    @overload
    def __getitem__(self, index: int) -> Record: ...
    @overload
    def __getitem__(self, index: slice) -> Records: ...
    def __getitem__(self, index: int | slice) -> Record | Records:
        if isinstance(index, slice):
            return self.take(range(len(self))[index])
        index = operator.index(index)
        if not -len(self) <= index < len(self):
            raise IndexError(f'record {index} of {len(self)}')
        index %= len(self)
        start, end = self.starts[index : index + 2].tolist()
        height, width = self.sizes[index].tolist()
        own_id = self.image_ids[index]
        top, left, *whole = (0, 0, height, width) if self.tiles is None else self.tiles[index].tolist()
        return Record(
            Path(self.paths[index]),
            (height, width),
            self.boxes[start:end],
            self.labels[start:end],
            self.areas[start:end],
            self.iscrowd[start:end],
            int(own_id) if isinstance(own_id, torch.Tensor) else own_id,
            None if self.tiles is None else Tile(top, left, (whole[0], whole[1])),
        )

    def __iter__(self) -> Iterator[Record]:
        return (self[i] for i in range(len(self)))

    def take(self, indices: Iterable[int]) -> Records:
        """The records of these indices, in their order."""
        chosen = torch.tensor(list(indices), dtype=torch.int64)
        rows, starts = taken(self.starts, chosen)
        ids = self.image_ids
        return Records(
            self.paths.take(chosen),
            self.sizes[chosen],
            starts,
            self.boxes[rows],
            self.labels[rows],
            self.areas[rows],
            self.iscrowd[rows],
            ids.take(chosen) if isinstance(ids, Texts) else image_ids([ids[i] for i in chosen.tolist()])
            if isinstance(ids, tuple) else ids[chosen],
            None if self.tiles is None else self.tiles[chosen],
        )  # fmt: skip

    @property
    def owners(self) -> torch.Tensor:
        """Index of the image of each object, int64 [N]."""
        return torch.repeat_interleave(torch.arange(len(self)), self.starts.diff())


def image_ids(ids: Sequence[int | str]) -> torch.Tensor | Texts | tuple[int, ...]:
    """A column of ids, which are all numbers or all texts."""
    if ids and isinstance(ids[0], str):
        return Texts.of(ids)  # type: ignore[arg-type]
    try:
        return torch.tensor(ids, dtype=torch.int64)
    except (OverflowError, RuntimeError, TypeError, ValueError):
        return tuple(ids)  # type: ignore[arg-type]
