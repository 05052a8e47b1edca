"""Means and variances of norms, taken anew from images: those of a narrower network are others."""

from __future__ import annotations

from collections.abc import Iterable

from torch import Tensor, nn
from torch.optim.swa_utils import update_bn


def recalibrate(network: nn.Module, images: Iterable[Tensor]) -> None:
    """Gives batch norms the mean and variance of their inputs over all batches, in place.

    Args:
        network: In either mode; it ends in evaluation mode.
        images: Batches, uint8 [B, C, H, W].
    """
    update_bn((batch.float() / 255 for batch in images), network)
    network.eval()
