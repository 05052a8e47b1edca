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
        # Sums with zeros for what does not count: how many pixels and classes do, a GPU would have to be waited for.
        shares = logits.softmax(1) * known.unsqueeze(1)
        labels = torch.where(known, classes, 0)
        own = shares.gather(1, labels.unsqueeze(1))
        none = shares.new_zeros(shares.shape[1])
        expected = none.index_add(0, labels.flatten(), known.flatten().float())
        common = none.index_add(0, labels.flatten(), own.flatten())
        there = expected > 0
        overlap = 2 * common / (shares.sum((0, 2, 3)) + expected).clamp(min=torch.finfo(shares.dtype).tiny)
        return ((1 - overlap) * there).sum() / there.sum().clamp(min=1)
