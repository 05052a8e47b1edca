"""YOLOv5's loss: CIoU for boxes, binary cross-entropy for objectness and classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits, one_hot
from torchvision.ops import box_convert, complete_box_iou_loss

from mbv3zoo.config import TrainConfig
from mbv3zoo.data.loader import Targets
from mbv3zoo.training.assigner import Assignment, assign

# Weights of the objectness of strides 8, 16, 32: small cells are many and mostly empty.
_LEVEL_WEIGHTS = (4.0, 1.0, 0.4)
_MIN_SIDE = 1e-3  # cells


class Losses(NamedTuple):
    """Scalars: `total` is what is minimised, the batch size times the sum of the weighted parts."""

    total: torch.Tensor
    box: torch.Tensor
    objectness: torch.Tensor
    classes: torch.Tensor


class DetectionLoss(nn.Module):
    """The loss of YOLOv5 v6.0 for raw logits.

    Boxes: 1 - CIoU (Zheng et al., arXiv 1911.08287), mean over the assigned anchors. Objectness: binary cross-entropy
    against the detached CIoU of assigned anchors, and 0 elsewhere. Classes: binary cross-entropy over assigned anchors.

    Args:
        anchors: [levels, A, 2], (width, height) in pixels.
        strides: Pixels a cell of each level.
        num_classes: K; with one class there is nothing to tell apart and the class part is 0.
        image_size: (height, width) of the network's input.
        config: Gains and anchor ratio.
    """

    def __init__(
        self,
        anchors: torch.Tensor,
        strides: Sequence[int],
        num_classes: int,
        image_size: tuple[int, int],
        config: TrainConfig,
    ) -> None:
        super().__init__()
        self.register_buffer('anchors', anchors.clone())
        self.strides = tuple(strides)
        self.num_classes = num_classes
        self.anchor_ratio = config.anchor_ratio
        levels = 3 / len(self.strides)
        self.box_gain = config.box_gain * levels
        self.class_gain = config.class_gain * num_classes / 80 * levels
        self.objectness_gain = config.objectness_gain * (max(image_size) / 640) ** 2 * levels

    def forward(self, logits: Sequence[torch.Tensor], targets: Targets) -> Losses:
        """Args: raw logits, [B, A, H, W, 5 + K] a level; the batch's labels."""
        logits = [level.float() for level in logits]
        grid_sizes = [tuple(level.shape[2:4]) for level in logits]
        assignments = assign(targets, self.anchors, self.strides, grid_sizes, self.anchor_ratio)
        parts = [
            self._level(level, assignment, anchors / stride, weight)
            for level, assignment, anchors, stride, weight in zip(
                logits, assignments, self.anchors, self.strides, _LEVEL_WEIGHTS, strict=True
            )
        ]
        box, objectness, classes = (torch.stack(part).sum() for part in zip(*parts, strict=True))
        box, objectness, classes = box * self.box_gain, objectness * self.objectness_gain, classes * self.class_gain
        total = (box + objectness + classes) * logits[0].shape[0]
        return Losses(total, box.detach(), objectness.detach(), classes.detach())

    def _level(
        self, logits: torch.Tensor, assignment: Assignment, anchors: torch.Tensor, weight: float
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Unscaled parts of one level; `anchors` [A, 2] in cells."""
        place = (assignment.image_index, assignment.anchor, assignment.row, assignment.column)
        predicted = logits[place]  # [M, 5 + K]
        expected_objectness = torch.zeros_like(logits[..., 4])
        box = classes = logits.sum() * 0  # an empty level still takes part in the graph
        if len(predicted):
            center = predicted[:, 0:2].sigmoid() * 2 - 0.5
            side = (predicted[:, 2:4].sigmoid() * 2) ** 2 * anchors[assignment.anchor]
            # A side that rounds to nothing (logits under -9) would make the aspect ratio, and the gradient, nan.
            side = side.clamp(min=_MIN_SIDE)
            predicted_boxes = box_convert(torch.cat([center, side], 1), 'cxcywh', 'xyxy')
            expected_boxes = box_convert(assignment.boxes, 'cxcywh', 'xyxy')
            one_minus_ciou = complete_box_iou_loss(predicted_boxes, expected_boxes)
            box = one_minus_ciou.mean()
            expected_objectness[place] = (1 - one_minus_ciou).detach().clamp(min=0)
            if self.num_classes > 1:
                expected = one_hot(assignment.labels, self.num_classes).to(predicted.dtype)
                classes = binary_cross_entropy_with_logits(predicted[:, 5:], expected)
        objectness = binary_cross_entropy_with_logits(logits[..., 4], expected_objectness)
        return box, objectness * weight, classes
