"""Means and variances of norms, taken anew from images: those of a narrower network are others."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn


@torch.no_grad()
def recalibrate(network: nn.Module, images: Iterable[Tensor]) -> None:
    """Gives batch norms the mean and variance of their inputs over all batches, in place.

    Args:
        network: In either mode; it ends in evaluation mode.
        images: Batches, uint8 [B, C, H, W].
    """
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    momenta = [norm.momentum for norm in norms]
    network.train()
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the mean over all batches
    for batch in images:
        network(batch.float() / 255)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    network.eval()
