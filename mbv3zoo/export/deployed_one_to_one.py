"""A one-to-one branch as a part of an exported graph: one convolution per level gives the maps, as without it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import nn

from mbv3zoo.models.head import DetectHead
from mbv3zoo.models.one_to_one import OneToOneBranch


class DeployedOneToOne(nn.Module):
    """A neck whose maps have the branch's objectness of each anchor beside their own channels.

    Args:
        neck: The neck.
        branch: The branch, fused. Its layers are shared, not copied.
    """

    def __init__(self, neck: nn.Module, branch: OneToOneBranch) -> None:
        super().__init__()
        self.neck, self.branch = neck, branch

    def forward(self, features: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        levels = self.neck(features)
        return [torch.cat(pair, 1) for pair in zip(levels, self.branch(levels), strict=True)]


def one_to_one_convolutions(head: DetectHead) -> nn.ModuleList:
    """The convolutions behind `DeployedOneToOne`: objectness as it comes, all else as in the head."""
    found = []
    for usual in cast(list[nn.Conv2d], list(head.convs)):
        assert usual.bias is not None
        layer = nn.Conv2d(usual.in_channels + head.num_anchors, usual.out_channels, 1).requires_grad_(False)
        assert layer.bias is not None
        layer.weight.zero_()
        layer.weight[:, : usual.in_channels] = usual.weight
        layer.bias[:] = usual.bias
        for anchor in range(head.num_anchors):
            row = anchor * head.num_outputs + 4
            layer.weight[row], layer.bias[row] = 0.0, 0.0
            layer.weight[row, usual.in_channels + anchor] = 1.0
        found.append(layer)
    return nn.ModuleList(found)
