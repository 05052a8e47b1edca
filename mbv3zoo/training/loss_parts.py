"""What the losses share."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.distributed as dist
from torchvision.ops import box_area, box_convert

from mbv3zoo.training.assigner import Assignment

_MIN_SIDE = 1e-3  # cells


class Losses(NamedTuple):
    """Scalars: `total` is what is minimised; the others are its weighted parts, of a picture or an assigned anchor."""

    total: torch.Tensor
    box: torch.Tensor
    objectness: torch.Tensor
    classes: torch.Tensor


def paired_boxes(
    assigned: torch.Tensor, assignment: Assignment, anchors: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """What a level's assigned anchors predict, and what they should.

    Args:
        assigned: [M, 5 + K], their logits.
        assignment: M of the anchors.
        anchors: [A, 2], (width, height) in cells.

    Returns:
        Two of xyxy [M, 4] in cells, from the corner of each anchor's own cell.
    """
    center = assigned[:, 0:2].sigmoid() * 2 - 0.5
    side = (assigned[:, 2:4].sigmoid() * 2) ** 2 * anchors[assignment.anchor]
    # A side that rounds to nothing (logits under -9) would make the aspect ratio, and the gradient, nan.
    predicted = torch.cat([center, side.clamp(min=_MIN_SIDE)], 1)
    return box_convert(predicted, 'cxcywh', 'xyxy'), box_convert(assignment.boxes, 'cxcywh', 'xyxy')


def paired_iou(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """IoU of boxes in pairs, xyxy [M, 4] both: [M]."""
    low, high = torch.maximum(first[:, :2], second[:, :2]), torch.minimum(first[:, 2:], second[:, 2:])
    inter = (high - low).clamp(min=0).prod(1)
    return inter / (box_area(first) + box_area(second) - inter)


def whole_batch(counts: torch.Tensor, processes: int) -> torch.Tensor:
    """Counts of this process's batch -> what its sums are divided by: the mean count of all processes.

    What is divided by it, and then averaged over processes as their gradients are, is divided by the whole batch's.
    Where there is nothing to count, the sums are 0, and divided by 1.
    """
    if processes > 1:
        dist.all_reduce(counts)
    return counts.clamp(min=1) / processes
