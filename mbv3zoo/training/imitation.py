"""Imitation of a teacher's feature maps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import nn


class Imitation(nn.Module):
    """Feature maps of a detector's neck with the channels that a teacher's have; dropped after training.

    Args:
        channels, strides: Of each level of the neck.
        taught: Stride of each level of the teacher's neck -> its channels.
    """

    def __init__(self, channels: Sequence[int], strides: Sequence[int], taught: Mapping[int, int]) -> None:
        super().__init__()
        self.levels = {stride: level for level, stride in enumerate(strides) if stride in taught}
        # Learned with the detector, and only where the numbers differ.
        self.adapt = nn.ModuleList(
            nn.Identity() if channels[level] == taught[stride] else nn.Conv2d(channels[level], taught[stride], 1)
            for stride, level in self.levels.items()
        )

    def forward(self, maps: Sequence[torch.Tensor]) -> dict[int, torch.Tensor]:
        """[B, C, H, W] for each level of the neck -> those of the strides that both have, with the teacher's C."""
        return {stride: adapt(maps[self.levels[stride]]) for stride, adapt in zip(self.levels, self.adapt, strict=True)}


def imitation_loss(own: Mapping[int, torch.Tensor], taught: Mapping[int, torch.Tensor]) -> torch.Tensor:
    """Half the squared difference of feature maps whose channels have mean 0 and variance 1, the mean of all levels.

    It is 1 less their correlation, so that neither magnitudes nor offsets of channels are imitated: Cao et al., "PKD",
    https://arxiv.org/abs/2207.02039, section 3.2.

    Args:
        own, taught: float [B, C, H, W] by stride, of the same shapes; `taught` may have more.

    Returns:
        A scalar in 0..2.

    Example:
        >>> maps = torch.rand(2, 8, 4, 4)
        >>> imitation_loss({16: maps}, {16: 3 * maps + 1}) < 1e-4
        tensor(True)
    """
    apart = [_standard(x.float()) - _standard(taught[stride].float()) for stride, x in own.items()]
    return torch.stack([level.square().mean() / 2 for level in apart]).mean()


def _standard(x: torch.Tensor) -> torch.Tensor:
    deviation, mean = torch.std_mean(x, (0, 2, 3), correction=0, keepdim=True)
    return (x - mean) / (deviation + 1e-6)
