"""Cuts the images of a training set into tiles, so that small objects of large images are learned at their own size."""

from __future__ import annotations

from dataclasses import replace

import torch
from torchvision.ops import box_area

from mbv3zoo.data.boxes import MIN_SIDE, MIN_VISIBLE
from mbv3zoo.data.columns import Texts, offsets
from mbv3zoo.data.detection_set import DetectionSet
from mbv3zoo.data.records import Records
from mbv3zoo.images.tiles import Slicing, tile_starts


def cut_into_tiles(data: DetectionSet, slicing: Slicing, seed: int = 0) -> DetectionSet:
    """The tiles of a set's images, and with `slicing.whole` the images themselves too.

    Boxes are clipped to a tile; those left with a side under 2 pixels or less than a tenth of their area are no objects
    of it, as in training (`mbv3zoo.data.boxes.clip_boxes`). Of the tiles without objects, crowds included, as many are
    kept as there are with objects, drawn by the seed: a large image may have hundreds.

    Args:
        data: The set; no pixels are read.
        slicing: How images are cut; one that fits into a tile stays whole.
        seed: Of the tiles that are kept.

    Returns:
        A set whose records are tiles (`Record.tile`), numbered from 1, those of one image one behind the other.
    """
    tall, wide = slicing.size
    owners, places, sizes, counts, boxes, rows = [], [], [], [], [], []
    for i, (height, width) in enumerate(data.records.sizes.tolist()):
        first, last = data.records.starts[i : i + 2].tolist()
        grid = [
            (top, left, min(tall, height), min(wide, width))
            for top in tile_starts(height, tall, slicing.overlap)
            for left in tile_starts(width, wide, slicing.overlap)
        ]
        if slicing.whole and len(grid) > 1:
            grid.append((0, 0, height, width))
        tiles = torch.tensor(grid)
        owners += [i] * len(grid)
        places.append(torch.cat([tiles[:, :2], torch.tensor([[height, width]]).expand(len(grid), 2)], 1))
        sizes.append(tiles[:, 2:])
        # One row of tiles after the other: thousands of tiles times thousands of objects would take gigabytes.
        own = data.records.boxes[first:last]
        for some in tiles.split(len(tile_starts(width, wide, slicing.overlap))):
            top, _, tile_height, _ = some[0].tolist()
            near = torch.nonzero((own[:, 3] > top) & (own[:, 1] < top + tile_height)).flatten()
            clipped, kept = _clipped(own[near], some)
            counts.append(kept.sum(1))
            boxes.append(clipped[kept])
            rows.append(first + near[torch.nonzero(kept)[:, 1]])
    taken = torch.cat(rows) if rows else torch.zeros(0, dtype=torch.int64)
    objects = torch.cat(counts)
    every = torch.cat(boxes)
    records = Records(
        Texts.of(data.records.paths[i] for i in owners),
        torch.cat(sizes),
        offsets(objects),
        every,
        data.records.labels[taken],
        box_area(every),
        data.records.iscrowd[taken],
        torch.arange(1, len(owners) + 1),
        torch.cat(places),
    )
    return replace(data, records=records.take(_enough(objects, seed)))


def _clipped(boxes: torch.Tensor, tiles: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Boxes [N, 4] in pixels of T tiles (top, left, height, width): float32 [T, N, 4]; which are left: bool [T, N]."""
    corner = tiles[:, [1, 0, 1, 0]].float()[:, None]
    limit = tiles[:, [3, 2, 3, 2]].float()[:, None]
    clipped = (boxes[None] - corner).clamp(min=0).minimum(limit)
    sides = clipped[..., 2:] - clipped[..., :2]
    return clipped, (sides >= MIN_SIDE).all(2) & (sides.prod(2) >= MIN_VISIBLE * box_area(boxes))


def _enough(objects: torch.Tensor, seed: int) -> list[int]:
    """The tiles that are kept, of tiles with so many objects, in their order."""
    filled, empty = torch.nonzero(objects).flatten(), torch.nonzero(objects == 0).flatten()
    order = torch.randperm(len(empty), generator=torch.Generator().manual_seed(seed % 2**63))
    chosen: list[int] = torch.cat([filled, empty[order[: max(len(filled), 1)]]]).sort().values.tolist()
    return chosen
