"""A one-to-one branch as a part of an exported graph: one convolution per level gives the maps, as without it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import nn

from mbv3zoo.models.head import DetectHead
from mbv3zoo.models.one_to_one import OneToOneBranch


class DeployedOneToOne(nn.Module):
    """A neck whose maps have what the branch's last convolutions take beside their own channels.

    Args:
        neck: The neck.
        branch: The branch, fused. Its layers are shared, not copied.
    """

    def __init__(self, neck: nn.Module, branch: OneToOneBranch) -> None:
        super().__init__()
        self.neck, self.branch = neck, branch

    def forward(self, features: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        levels = self.neck(features)
        return [torch.cat(pair, 1) for pair in zip(levels, self.branch.compared(levels), strict=True)]


def one_to_one_convolutions(head: DetectHead, branch: OneToOneBranch) -> nn.ModuleList:
    """The convolutions behind `DeployedOneToOne`: objectness from the branch's channels, all else from the neck's."""
    merged = []
    for usual, own in zip(head.convs, branch.convs, strict=True):
        usual, own = cast(nn.Conv2d, usual), cast(nn.Conv2d, own)
        assert usual.bias is not None and own.bias is not None
        layer = nn.Conv2d(usual.in_channels + own.in_channels, usual.out_channels, 1).requires_grad_(False)
        assert layer.bias is not None
        objectness = range(4, usual.out_channels, head.num_outputs)
        layer.weight.zero_()
        layer.weight[:, : usual.in_channels] = usual.weight
        layer.bias[:] = usual.bias
        layer.weight[objectness] = torch.cat([torch.zeros_like(usual.weight[objectness]), own.weight], 1)
        layer.bias[objectness] = own.bias
        merged.append(layer)
    return nn.ModuleList(merged)
