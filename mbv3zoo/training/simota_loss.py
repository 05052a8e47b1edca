"""YOLOX's loss, with the SimOTA assignment."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits

from mbv3zoo.config.training import TrainConfig
from mbv3zoo.data.loader import Targets
from mbv3zoo.training.loss_parts import (
    Losses,
    at_places,
    one_hot_like,
    paired_ciou,
    predicted_boxes,
    whole_batch,
)
from mbv3zoo.training.simota import match


class SimOTALoss(nn.Module):
    """YOLOX's loss (arXiv 2107.08430, section 2.2) for the anchors and logits of YOLOv5's head.

    The candidates of a box are the anchors that YOLOv5's assignment gives it, as the decoding cannot reach others.
    Boxes: 1 - CIoU (arXiv 1911.08287). Objectness: binary cross-entropy against the detached CIoU of the assigned
    anchors, and 0 elsewhere. Classes: binary cross-entropy, summed over classes. Each is summed over the batch and
    divided by its number of assigned anchors, so that every object counts alike, whatever its level.

    Args:
        anchors: [levels, A, 2], (width, height) in pixels.
        strides: Stride of each level, in input pixels per cell.
        num_classes: Number of classes K; the class loss of a single class is 0.
        image_size: Not used; all losses have one signature.
        config: Gains and anchor ratio.
        processes: Number of processes that train together; their batches count as one.
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

    def forward(self, logits: Sequence[torch.Tensor], targets: Targets) -> Losses:
        """Args: raw logits, [B, A, H, W, 5 + K] per level; the labels of the batch."""
        logits = [level.float() for level in logits]
        anchors = [level / stride for level, stride in zip(self.anchors, self.strides, strict=True)]
        chosen = match(logits, targets, self.anchors, self.strides, self.config.anchor_ratio)

        box = objectness = classes = logits[0].new_zeros(())
        for values, assignment, level_anchors in zip(logits, chosen, anchors, strict=True):
            # Indexed once: each time costs the backward pass a tensor of the level's size.
            assigned = values[assignment.place]
            ciou = paired_ciou(predicted_boxes(assigned, assignment, level_anchors), assignment.boxes)
            box = box + ((1 - ciou) * assignment.counts).sum()
            expected_objectness = at_places(values[..., 4], assignment, ciou.detach().clamp(min=0))
            objectness = objectness + _cross_entropy(values[..., 4], expected_objectness)
            if self.num_classes > 1:
                expected = one_hot_like(assigned[:, 5:], assignment.labels)
                classes = classes + _cross_entropy(assigned[:, 5:], expected, assignment.counts.unsqueeze(1))

        count = whole_batch(torch.cat([level.counts for level in chosen]).sum(), self.processes)
        box = self.config.box_gain * box / count
        objectness = self.config.objectness_gain * objectness / count
        classes = self.config.class_gain * classes / count
        return Losses(box + objectness + classes, box.detach(), objectness.detach(), classes.detach())


def _cross_entropy(logits: torch.Tensor, expected: torch.Tensor, weight: torch.Tensor | None = None) -> torch.Tensor:
    return binary_cross_entropy_with_logits(logits, expected, weight, reduction='sum')
