"""What the losses share."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
import torch.distributed as dist
from torchvision.ops import box_area, box_convert

from mbv3zoo.models.postprocess.decoding import decode_centers, decode_sides
from mbv3zoo.training.assigner import Assignment

_MIN_SIDE = 1e-3  # cells
# Far below what a network predicts, and squares of it are above 0.
_NO_SIDE = 1e-18
_EPS = 1e-7


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
    center, side = predicted_boxes(assigned, assignment, anchors).split(2, 1)
    # A side that rounds to nothing (logits under -9) would make the aspect ratio, and the gradient, nan.
    predicted = torch.cat([center, side.clamp(min=_MIN_SIDE)], 1)
    return box_convert(predicted, 'cxcywh', 'xyxy'), box_convert(assignment.boxes, 'cxcywh', 'xyxy')


def predicted_boxes(assigned: torch.Tensor, assignment: Assignment, anchors: torch.Tensor) -> torch.Tensor:
    """What a level's assigned anchors predict, as (x, y, w, h) [M, 4] in cells; arguments as for `paired_boxes`."""
    center = decode_centers(assigned[:, 0:2].sigmoid(), 0)
    side = decode_sides(assigned[:, 2:4].sigmoid(), anchors[assignment.anchor])
    return torch.cat([center, side], 1)


def paired_ciou(predicted: torch.Tensor, expected: torch.Tensor) -> torch.Tensor:
    """Complete IoU (Zheng et al., arXiv 1911.08287, equations 8 to 11) of boxes in pairs.

    torchvision has it for xyxy boxes: there the sides of narrow boxes are differences of nearly equal numbers, which
    costs the gradients their last digits.

    Args:
        predicted, expected: (x, y, w, h) [M, 4] in cells, x and y of the centre.

    Returns:
        [M], -1.5 to 1; finite, and so are its gradients, down to sides of 0.
    """
    center, side = predicted[:, :2], predicted[:, 2:].clamp(min=_NO_SIDE)
    other_center, other_side = expected[:, :2], expected[:, 2:]
    low, high = center - side / 2, center + side / 2
    other_low, other_high = other_center - other_side / 2, other_center + other_side / 2

    inter = (torch.minimum(high, other_high) - torch.maximum(low, other_low)).clamp(min=0).prod(1)
    iou = inter / (side.prod(1) + other_side.prod(1) - inter + _EPS)
    diagonal = (torch.maximum(high, other_high) - torch.minimum(low, other_low)).square().sum(1)
    distance = (center - other_center).square().sum(1) / (diagonal + _EPS)
    # Like atan(w / h), but without a quotient that overflows.
    angle, other_angle = torch.atan2(side[:, 0], side[:, 1]), torch.atan2(other_side[:, 0], other_side[:, 1])
    aspect = 4 / math.pi**2 * (other_angle - angle).square()
    with torch.no_grad():
        alpha = aspect / (1 - iou + aspect + _EPS)
    return iou - distance - alpha * aspect


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
