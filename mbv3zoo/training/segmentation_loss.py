"""The loss of segmenters: cross-entropy of every pixel, and Dice."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import nn
from torch.nn.functional import cross_entropy

from mbv3zoo.config.training import TrainConfig
from mbv3zoo.images.masks import IGNORE_INDEX
from mbv3zoo.training.loss_parts import whole_batch


class SegmentationLosses(NamedTuple):
    """Scalars: `total` is minimised; the others are its weighted parts."""

    total: torch.Tensor
    cross_entropy: torch.Tensor
    dice: torch.Tensor


class SegmentationLoss(nn.Module):
    """Cross-entropy, and `dice_gain` times the Dice loss (Milletari et al., arXiv 1606.04797, section 3).

    Dice is one minus the overlap of each class, twice the common part over the sum of both, as a mean over the classes
    that the batch of a process has. Pixels of 255 have no part in either.

    Args:
        config: How to train.
        processes: Number of processes that train together.
    """

    parts = SegmentationLosses._fields[1:]

    def __init__(self, config: TrainConfig, processes: int = 1) -> None:
        super().__init__()
        self.dice_gain, self.processes = config.dice_gain, processes

    def forward(self, logits: torch.Tensor, masks: torch.Tensor) -> SegmentationLosses:
        """Compares float logits [B, K, H, W] with the classes of pixels, uint8 [B, H, W]."""
        logits, classes = logits.float(), masks.long()
        known = classes != IGNORE_INDEX
        count = whole_batch(known.sum().float(), self.processes)
        entropy = cross_entropy(logits, classes, ignore_index=IGNORE_INDEX, reduction='sum') / count
        dice = self.dice_gain * self._dice(logits, classes, known) if self.dice_gain else entropy.new_zeros(())
        return SegmentationLosses(entropy + dice, entropy.detach(), dice.detach())

    def _dice(self, logits: torch.Tensor, classes: torch.Tensor, known: torch.Tensor) -> torch.Tensor:
        shares = logits.softmax(1).movedim(1, -1)[known]
        labels = classes[known]
        expected = torch.bincount(labels, minlength=shares.shape[1]).float()
        own = shares.gather(1, labels[:, None])[:, 0]
        common = torch.zeros_like(expected).index_add(0, labels, own)
        there = expected > 0
        overlap = 2 * common[there] / (shares.sum(0)[there] + expected[there])
        return (1 - overlap).sum() / there.sum().clamp(min=1)
