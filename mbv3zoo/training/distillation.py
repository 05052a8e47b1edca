"""The loss of a detector against what a trained one finds."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits
from torchvision.ops import box_convert

from mbv3zoo.config.training import TrainConfig
from mbv3zoo.models.postprocess.decoding import decode_centers, decode_sides
from mbv3zoo.training.loss_parts import paired_ciou
from mbv3zoo.training.teacher import Taught


class DistillationLoss(nn.Module):
    """Boxes, objectness and classes as the teacher has them, at the cells where it is certain of an object.

    Each cell counts by the teacher's certainty there (as the valuable regions of Zheng et al., "Localization
    Distillation", arXiv 2102.12252, section 3.3), so that what the teacher takes for background is left to the labels.
    The anchor that learns is that of the cell whose shape is the most like the teacher's box. Boxes: 1 - CIoU.
    Objectness and classes: binary cross-entropy against the teacher's probabilities, less the least that it can be, so
    that the loss is 0 where both agree. Sums over the batch are divided by the sum of the certainties.

    Args:
        anchors: [levels, A, 2], the student's, (width, height) in pixels.
        strides: The student's strides.
        known: bool [K], classes that the teacher knows; others are left to the labels.
        config: Gains of the parts, and `teacher_gain`, that of the whole.
    """

    anchors: torch.Tensor
    known: torch.Tensor

    def __init__(self, anchors: torch.Tensor, strides: Sequence[int], known: torch.Tensor, config: TrainConfig) -> None:
        super().__init__()
        self.register_buffer('anchors', anchors.clone())
        self.register_buffer('known', known.clone())
        self.strides = tuple(strides)
        self.config = config

    def forward(self, logits: Sequence[torch.Tensor], taught: Taught) -> torch.Tensor:
        """Args: raw logits, [B, A, H, W, 5 + K] per level; what the teacher finds in the same images."""
        box, objectness, classes = logits[0].new_zeros((3,)).float().unbind()
        for level, (values, anchors, stride) in enumerate(zip(logits, self.anchors, self.strides, strict=True)):
            weight = taught.certainty * (taught.level == level)
            cells = torch.stack([taught.column, taught.row], 2)
            # Rows of other levels are computed and count 0: how many there are, a GPU would have to be waited for.
            row, column = taught.row.clamp(max=values.shape[2] - 1), taught.column.clamp(max=values.shape[3] - 1)
            expected = box_convert(taught.boxes, 'xyxy', 'cxcywh') / stride
            anchor = _nearest(expected[..., 2:] * stride, anchors)
            image = torch.arange(len(values), device=values.device).unsqueeze(1).expand_as(row)
            own = values[image, anchor, row, column].float()
            center = decode_centers(own[..., 0:2].sigmoid(), cells.float())
            side = decode_sides(own[..., 2:4].sigmoid(), anchors[anchor] / stride)
            ciou = paired_ciou(torch.cat([center, side], 2).flatten(0, 1), expected.flatten(0, 1))
            box = box + ((1 - ciou) * weight.flatten()).sum()
            objectness = objectness + (_excess(own[..., 4], taught.objectness) * weight).sum()
            if self.known.numel() > 1:
                classes = classes + ((_excess(own[..., 5:], taught.classes) * self.known).sum(2) * weight).sum()
        config = self.config
        total = config.box_gain * box + config.objectness_gain * objectness + config.class_gain * classes
        return config.teacher_gain * total / taught.certainty.sum().clamp(min=1)


def _nearest(sides: torch.Tensor, anchors: torch.Tensor) -> torch.Tensor:
    """Index [B, M] of the anchor [A, 2] whose shape has the largest IoU with sides [B, M, 2], of one centre."""
    sides = sides.unsqueeze(2)
    inter = torch.minimum(sides, anchors).prod(3)
    return (inter / (sides.prod(3) + anchors.prod(1) - inter)).argmax(2)


def _excess(logits: torch.Tensor, expected: torch.Tensor) -> torch.Tensor:
    """Binary cross-entropy above that of the expected probabilities with themselves."""
    loss = binary_cross_entropy_with_logits(logits, expected, reduction='none')
    least = binary_cross_entropy_with_logits(torch.logit(expected, 1e-6), expected, reduction='none')
    return (loss - least).clamp(min=0)
