"""YOLOv5's assignment of boxes to anchors, by shape."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch

from mbv3zoo.data.loader import Targets

# The cell itself, then its left, upper, right and lower neighbour, as (x, y) offsets in cells.
_STEPS = ((0, 0), (-1, 0), (0, -1), (1, 0), (0, 1))


class Assignment(NamedTuple):
    """The M anchors of one level that have a box to predict.

    On a GPU how many there are is not known without waiting for it, so that there some rows may be of no box.

    Attributes:
        image_index, anchor, row, column: int64 [M], their position in the level's logits [B, A, H, W, 5 + K].
        boxes: float32 [M, 4], the boxes to predict: (x, y, w, h) in cells, the centre relative to the corner of the
            anchor's cell.
        labels: int64 [M], the classes to predict.
        box_index: int64 [M], index of the box in the batch; -1 where the row is of no box.
    """

    image_index: torch.Tensor
    anchor: torch.Tensor
    row: torch.Tensor
    column: torch.Tensor
    boxes: torch.Tensor
    labels: torch.Tensor
    box_index: torch.Tensor

    @property
    def place(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
        """Index of the assigned anchors in the level's logits, which gives [M, 5 + K]."""
        return self.image_index, self.anchor, self.row, self.column

    @property
    def counts(self) -> torch.Tensor:
        """float32 [M]: 1 where the row is of a box, 0 where it is of none."""
        return (self.box_index >= 0).float()

    def keep(self, kept: torch.Tensor) -> Assignment:
        """The rows that are chosen by a mask, bool [M].

        On a CPU the others are left out. A GPU would have to be waited for, so there they stay, as rows of no box.
        """
        if kept.device.type == 'cpu':
            return Assignment(*(field[kept] for field in self))
        return self._replace(box_index=torch.where(kept, self.box_index, -1))


def assign(
    targets: Targets,
    anchors: torch.Tensor,
    strides: Sequence[int],
    grid_sizes: Sequence[tuple[int, int]],
    anchor_ratio: float = 4.0,
    as_yolov5: bool = False,
) -> list[Assignment]:
    """Assigns every box, on each level separately, to the anchors of similar shape around its centre (YOLOv5 v6.0).

    A box and an anchor match if widths and heights differ by less than a factor `anchor_ratio`. The box is then
    assigned to this anchor in the cell of its centre and in the two nearest neighbouring cells inside the grid: three
    positives instead of one.

    Args:
        targets: Labels of the batch.
        anchors: [levels, A, 2], (width, height) in pixels.
        strides: Stride of each level, in input pixels per cell.
        grid_sizes: (rows, columns) of each level.
        anchor_ratio: As in `mbv3zoo.TrainConfig`.
        as_yolov5: Reproduces YOLOv5: a centre on a cell border repeats its own cell, once per border, and rounding
            decides whether it is on one, as boxes are fractions of the image there. Otherwise centres are exact, and a
            box is assigned to each anchor of a cell once.

    Returns:
        One `Assignment` per level: the cells of the centres first, then left, upper, right and lower neighbours, each
        in the order of the boxes.
    """
    x1, y1, x2, y2 = targets.boxes.unbind(1)
    center = torch.stack([x1 + x2, y1 + y2], 1) / 2
    side = torch.stack([x2 - x1, y2 - y1], 1)
    levels = []
    for level_anchors, stride, (rows, columns) in zip(anchors, strides, grid_sizes, strict=True):
        # Filled and not copied from a list, for which a GPU would be waited for.
        grid = torch.stack([center.new_full((), columns), center.new_full((), rows)])
        if as_yolov5:
            image_size = grid * stride
            in_cells = center / image_size * grid, side / image_size * grid
        else:
            in_cells = center / stride, side / stride
        levels.append(_assign_level(targets, *in_cells, level_anchors / stride, grid, anchor_ratio, as_yolov5))
    return levels


def _assign_level(
    targets: Targets,
    center: torch.Tensor,
    side: torch.Tensor,
    anchors: torch.Tensor,
    grid: torch.Tensor,
    anchor_ratio: float,
    repeat: bool,
) -> Assignment:
    """As `assign`, for one level; `center`, `side` [N, 2] and `anchors` [A, 2] in cells; `grid` (columns, rows)."""
    ratio = side[:, None] / anchors[None]
    like = torch.maximum(ratio, 1 / ratio).amax(2) < anchor_ratio

    from_end = grid - center
    left_up = (center % 1 < 0.5) & (center > 1)
    right_down = (from_end % 1 < 0.5) & (from_end > 1)
    chosen = torch.cat([torch.ones_like(left_up[:, :1]), left_up, right_down], 1).T
    # Half a cell from the centre is the neighbour; from a centre on a cell border or the image's edge, the cell itself.
    own = _inside(center.floor(), grid)
    steps = torch.stack([torch.stack([center.new_full((), value / 2) for value in step]) for step in _STEPS])
    cells = _inside((center + steps[:, None]).floor(), grid)
    if not repeat:
        fresh = (cells != own).any(2)
        fresh[0] = True
        chosen = chosen & fresh

    # Every step of every box to every anchor. Neighbour by neighbour, as in YOLOv5: of several boxes at one anchor of a
    # cell, the last decides the objectness.
    shape = len(_STEPS), *like.shape
    box_index = torch.arange(shape[1], device=like.device).view(1, -1, 1).expand(shape).flatten()
    anchor = torch.arange(shape[2], device=like.device).expand(shape).flatten()
    cell = cells[:, :, None].expand(*shape, 2).reshape(-1, 2)
    column, row = cell.long().unbind(1)
    every = Assignment(
        targets.image_index[box_index],
        anchor,
        row,
        column,
        torch.cat([center[box_index] - cell, side[box_index]], 1),
        targets.labels[box_index],
        box_index,
    )
    return every.keep((chosen[:, :, None] & like).flatten())


def _inside(cell: torch.Tensor, grid: torch.Tensor) -> torch.Tensor:
    """Cells [M, 2] clamped to the grid: the centre of a box at the image's edge may be on that edge."""
    return cell.clamp(min=0).minimum(grid - 1)
