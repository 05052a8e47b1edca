"""What the losses have in common."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
import torch.distributed as dist

from mbv3zoo.models.postprocess.decoding import decode_centers, decode_sides
from mbv3zoo.training.assigner import Assignment

# Far below what a network predicts, and squares of it are above 0.
_NO_SIDE = 1e-18
_EPS = 1e-7


class Losses(NamedTuple):
    """Scalars: `total` is minimised; the others are its weighted parts, per image or per assigned anchor."""

    total: torch.Tensor
    box: torch.Tensor
    objectness: torch.Tensor
    classes: torch.Tensor


def one_hot_like(scores: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """1 at each row's label and 0 elsewhere, in the type of scores [M, K]; labels int64 [M]."""
    # torch's one_hot is of int64: of 8,000 classes, twice the memory of the logits.
    return torch.zeros_like(scores).scatter_(1, labels.unsqueeze(1), 1)


def at_places(like: torch.Tensor, assignment: Assignment, values: torch.Tensor) -> torch.Tensor:
    """Values [M] at the places of an assignment and 0 elsewhere: [B, A, H, W], as `like`."""
    _, anchors, height, width = like.shape
    index = ((assignment.image_index * anchors + assignment.anchor) * height + assignment.row) * width
    # Rows of no box write to one place more, which is left out.
    index = torch.where(assignment.box_index >= 0, index + assignment.column, like.numel())
    placed = like.new_zeros(like.numel() + 1)
    placed[index] = values
    return placed[:-1].view_as(like)


def predicted_boxes(assigned: torch.Tensor, assignment: Assignment, anchors: torch.Tensor) -> torch.Tensor:
    """The boxes that a level's assigned anchors predict, relative to the corner of each anchor's cell.

    Args:
        assigned: [M, 5 + K], logits of the assigned anchors.
        assignment: The level's assignment.
        anchors: [A, 2], (width, height) in cells.

    Returns:
        (x, y, w, h) [M, 4] in cells, with (x, y) the centre.
    """
    center = decode_centers(assigned[:, 0:2].sigmoid(), 0)
    side = decode_sides(assigned[:, 2:4].sigmoid(), anchors[assignment.anchor])
    return torch.cat([center, side], 1)


def paired_ciou(predicted: torch.Tensor, expected: torch.Tensor) -> torch.Tensor:
    """Complete IoU (Zheng et al., arXiv 1911.08287, equations 8 to 11) of pairs of boxes.

    torchvision has it for xyxy boxes; there the width of a narrow box is the difference of nearly equal numbers, so its
    gradient loses precision, and a GPU is waited for.

    Args:
        predicted, expected: (x, y, w, h) [M, 4] in cells, with (x, y) the centre.

    Returns:
        [M], in -1.5..1; it and its gradients are finite down to sides of 0.
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
    """IoU of pairs of boxes, (x, y, w, h) [M, 4] each, with (x, y) the centre: [M]."""
    low = torch.maximum(first[:, :2] - first[:, 2:] / 2, second[:, :2] - second[:, 2:] / 2)
    high = torch.minimum(first[:, :2] + first[:, 2:] / 2, second[:, :2] + second[:, 2:] / 2)
    inter = (high - low).clamp(min=0).prod(1)
    return inter / (first[:, 2:].prod(1) + second[:, 2:].prod(1) - inter)


def whole_batch(counts: torch.Tensor, processes: int) -> torch.Tensor:
    """Counts of this process's batch -> the mean counts over all processes, to divide its sums by.

    As gradients are averaged over processes, this divides the sum over the whole batch by the whole batch's count. At
    least 1 in all: where there is nothing to count, the sums are 0.
    """
    if processes > 1:
        dist.all_reduce(counts)
    return counts.clamp(min=1) / processes
