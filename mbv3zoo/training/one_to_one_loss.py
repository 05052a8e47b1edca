"""The loss of a one-to-one branch, beside that of the head."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits

from mbv3zoo.data.loader import Targets
from mbv3zoo.training.loss_parts import at_places, paired_ciou, predicted_boxes, whole_batch
from mbv3zoo.training.simota import match
from mbv3zoo.training.simota_loss import SimOTALoss
from mbv3zoo.training.yolov5_loss import YOLOv5Loss


class OneToOneLoss(nn.Module):
    """The loss of a head, and that of the one-to-one branch beside it.

    For each box the one anchor is taken whose prediction fits it best, by SimOTA's cost, in which the objectness is the
    branch's own: so it is the anchor that has the highest score after training (the consistent matching of YOLOv10,
    arXiv 2405.14458, section 3.1). There the objectness is to be the CIoU, and 0 at all others: binary cross-entropy,
    divided by the number of boxes.

    Args:
        loss: That of the head.
    """

    def __init__(self, loss: SimOTALoss | YOLOv5Loss) -> None:
        super().__init__()
        self.loss = loss
        self.parts = (*loss.parts, 'one_to_one')

    def forward(self, logits: Sequence[torch.Tensor], targets: Targets) -> tuple[torch.Tensor, ...]:
        """Args: what a detector with such a branch gives in training mode; the labels of the batch."""
        levels = len(self.loss.strides)
        total, *parts = self.loss(logits[:levels], targets)
        alone = self._objectness([level.float() for level in logits[levels:]], targets)
        return total + alone, *parts, alone.detach()

    def _objectness(self, logits: Sequence[torch.Tensor], targets: Targets) -> torch.Tensor:
        loss = self.loss
        anchors = [level / stride for level, stride in zip(loss.anchors, loss.strides, strict=True)]
        chosen = match(logits, targets, loss.anchors, loss.strides, loss.config.anchor_ratio, one_each=True)
        total = logits[0].new_zeros(())
        for values, found, sides in zip(logits, chosen, anchors, strict=True):
            ciou = paired_ciou(predicted_boxes(values[found.place].detach(), found, sides), found.boxes)
            expected = at_places(values[..., 4], found, ciou.clamp(min=0))
            total = total + binary_cross_entropy_with_logits(values[..., 4], expected, reduction='sum')
        count = whole_batch(torch.cat([level.counts for level in chosen]).sum(), loss.processes)
        return loss.config.objectness_gain * total / count
