"""Which anchors of which cells learn which boxes: YOLOv5's assignment by shape."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch

from mbv3zoo.data.loader import Targets

# The own cell, then its left, upper, right and lower neighbour, as (x, y) steps.
_STEPS = ((0, 0), (-1, 0), (0, -1), (1, 0), (0, 1))


class Assignment(NamedTuple):
    """What one level learns: M assigned anchors.

    Attributes:
        image_index, anchor, row, column: int64 [M], where in the level's logits [B, A, H, W, 5 + K].
        boxes: float32 [M, 4], the box to predict as (x, y, w, h) in cells, x and y from the assigned cell's corner.
        labels: int64 [M].
        box_index: int64 [M], which of the batch's boxes.
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


def assign(
    targets: Targets,
    anchors: torch.Tensor,
    strides: Sequence[int],
    grid_sizes: Sequence[tuple[int, int]],
    anchor_ratio: float = 4.0,
    as_yolov5: bool = False,
) -> list[Assignment]:
    """Assigns every box, on each level on its own, to the anchors of like shape around its centre (YOLOv5 v6.0).

    A (box, anchor) pair is kept where no side differs by `anchor_ratio` or more. It goes to the cell of the box's
    centre and to the two neighbours nearest to it, where these are inside the grid: three positives instead of one.

    Args:
        targets: Labels of the batch.
        anchors: [levels, A, 2], (width, height) in pixels.
        strides: Pixels a cell of each level.
        grid_sizes: (rows, columns) of each level.
        anchor_ratio: Largest ratio of sides, exclusive.
        as_yolov5: What boxes of whole pixels get. YOLOv5 gives one its own cell once more for each line between cells
            that its centre lies on, and lets rounding decide whether it does, as the boxes are shares of the picture
            there. Without it centres are exact, and no box gets an anchor of a cell twice.

    Returns:
        One `Assignment` a level: own cells first, then left, upper, right and lower neighbours; in each, in the order
        of the boxes.
    """
    x1, y1, x2, y2 = targets.boxes.unbind(1)
    center = torch.stack([x1 + x2, y1 + y2], 1) / 2
    side = torch.stack([x2 - x1, y2 - y1], 1)
    levels = []
    for level_anchors, stride, (rows, columns) in zip(anchors, strides, grid_sizes, strict=True):
        grid = center.new_tensor([columns, rows])
        if as_yolov5:
            picture = grid * stride
            in_cells = center / picture * grid, side / picture * grid
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
    box_index, anchor = like.nonzero(as_tuple=True)
    center, side = center[box_index], side[box_index]

    from_end = grid - center
    left_up = (center % 1 < 0.5) & (center > 1)
    right_down = (from_end % 1 < 0.5) & (from_end > 1)
    chosen = torch.cat([torch.ones_like(left_up[:, :1]), left_up, right_down], 1)

    # By step, as in YOLOv5: of several boxes on one anchor of a cell, the last decides the objectness.
    step, pair = chosen.T.nonzero(as_tuple=True)
    center, side, box_index, anchor = center[pair], side[pair], box_index[pair], anchor[pair]
    # Half a step from the centre lies the neighbour; from a centre on a line, or on the picture's edge, the own cell.
    own = _inside(center.floor(), grid)
    cell = _inside((center + center.new_tensor(_STEPS)[step] / 2).floor(), grid)
    if not repeat:
        fresh = (step == 0) | (cell != own).any(1)
        center, side, box_index, anchor, cell = (part[fresh] for part in (center, side, box_index, anchor, cell))
    column, row = cell.long().unbind(1)
    return Assignment(
        targets.image_index[box_index],
        anchor,
        row,
        column,
        torch.cat([center - cell, side], 1),
        targets.labels[box_index],
        box_index,
    )


def _inside(cell: torch.Tensor, grid: torch.Tensor) -> torch.Tensor:
    """Cells [M, 2], moved into the grid: a box that ends at the picture's edge may have its centre on it."""
    return cell.clamp(min=0).minimum(grid - 1)
