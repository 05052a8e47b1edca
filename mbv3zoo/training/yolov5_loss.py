"""YOLOv5's loss, with its assignment."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits

from mbv3zoo.config.training import TrainConfig
from mbv3zoo.data.loader import Targets
from mbv3zoo.training.assigner import Assignment, assign
from mbv3zoo.training.loss_parts import Losses, at_places, one_hot_like, paired_ciou, predicted_boxes, whole_batch

# Weights of the objectness loss per level, finest first: small cells are many and mostly empty.
_THREE_LEVELS = (4.0, 1.0, 0.4)
_OTHER_LEVELS = (4.0, 1.0, 0.25, 0.06, 0.02)


class YOLOv5Loss(nn.Module):
    """The loss of YOLOv5 v6.0 for raw logits; its total is the batch size times the sum of the weighted parts.

    Boxes: 1 - CIoU (Zheng et al., arXiv 1911.08287), mean over the assigned anchors. Objectness: binary cross-entropy
    against the detached CIoU of the assigned anchors, and 0 elsewhere. Classes: binary cross-entropy, mean over the
    assigned anchors.

    Args:
        anchors: [levels, A, 2], (width, height) in pixels.
        strides: Stride of each level, in input pixels per cell.
        num_classes: Number of classes K; the class loss of a single class is 0.
        image_size: (height, width) of the network's input in pixels.
        config: Gains and anchor ratio.
        processes: Number of processes that train together. Their batches count as one: means are taken over the
            assigned anchors of all, so that the mean of their gradients is that of the whole batch.
    """

    parts = Losses._fields[1:]

    anchors: torch.Tensor

    def __init__(
        self,
        anchors: torch.Tensor,
        strides: Sequence[int],
        num_classes: int,
        image_size: tuple[int, int],
        config: TrainConfig,
        processes: int = 1,
    ) -> None:
        super().__init__()
        self.register_buffer('anchors', anchors.clone())
        self.strides = tuple(strides)
        self.num_classes = num_classes
        self.config = config
        self.processes = processes
        self.level_weights = _level_weights(len(self.strides))
        levels = 3 / len(self.strides)
        self.box_gain = config.box_gain * levels
        self.class_gain = config.class_gain * num_classes / 80 * levels
        self.objectness_gain = config.objectness_gain * (max(image_size) / 640) ** 2 * levels

    def forward(self, logits: Sequence[torch.Tensor], targets: Targets) -> Losses:
        """Args: raw logits, [B, A, H, W, 5 + K] per level; the labels of the batch."""
        logits = [level.float() for level in logits]
        grid_sizes = [(level.shape[2], level.shape[3]) for level in logits]
        assignments = assign(targets, self.anchors, self.strides, grid_sizes, self.config.anchor_ratio, as_yolov5=True)
        counts = whole_batch(torch.stack([level.counts.sum() for level in assignments]), self.processes)
        cell_anchors = [anchors / stride for anchors, stride in zip(self.anchors, self.strides, strict=True)]
        parts = [
            self._level(*level)
            for level in zip(logits, assignments, cell_anchors, counts, self.level_weights, strict=True)
        ]
        box, objectness, classes = (torch.stack(part).sum() for part in zip(*parts, strict=True))
        box, objectness, classes = box * self.box_gain, objectness * self.objectness_gain, classes * self.class_gain
        total = (box + objectness + classes) * logits[0].shape[0] * self.processes
        return Losses(total, box.detach(), objectness.detach(), classes.detach())

    def _level(
        self, logits: torch.Tensor, assignment: Assignment, anchors: torch.Tensor, count: torch.Tensor, weight: float
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Unscaled parts of one level, with `anchors` [A, 2] in cells and sums divided by `count`."""
        # Indexed once: each time costs the backward pass a tensor of the level's size.
        assigned = logits[assignment.place]
        ciou = paired_ciou(predicted_boxes(assigned, assignment, anchors), assignment.boxes)
        box = ((1 - ciou) * assignment.counts).sum() / count
        classes = box.new_zeros(())
        if self.num_classes > 1:
            expected = one_hot_like(assigned[:, 5:], assignment.labels)
            counts = assignment.counts.unsqueeze(1)
            classes = binary_cross_entropy_with_logits(assigned[:, 5:], expected, counts, reduction='sum')
            classes = classes / (count * self.num_classes)
        expected_objectness = at_places(logits[..., 4], assignment, ciou.detach().clamp(min=0))
        objectness = binary_cross_entropy_with_logits(logits[..., 4], expected_objectness)
        return box, objectness * weight, classes


def _level_weights(levels: int) -> tuple[float, ...]:
    """One per level; from the fifth on all the same."""
    if levels == 3:
        return _THREE_LEVELS
    return (_OTHER_LEVELS + _OTHER_LEVELS[-1:] * levels)[:levels]
