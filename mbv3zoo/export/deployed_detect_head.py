"""A detector's head as a part of an exported graph: levels of the neck in, one map for each out."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from mbv3zoo.models.decoupled import DecoupledHead
from mbv3zoo.models.head import DetectHead, Head
from mbv3zoo.models.one_to_one import OneToOneBranch


def deployed_detect_head(head: Head) -> nn.Module:
    """A head for an exported graph; its maps, [B, A * (5 + K), H, W], have the objectness that predictions need.

    Args:
        head: The head, fused. Its layers are shared, not copied.
    """
    if isinstance(head, DetectHead) and head.one_to_one is not None and not head.nms:
        return DeployedOneToOne(head, head.one_to_one)
    return DeployedHead(head)


class DeployedHead(nn.Module):
    """A head as it is; where predictions need NMS its branch is left out."""

    def __init__(self, head: Head) -> None:
        super().__init__()
        self.head = head

    def forward(self, levels: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        if self.head.nms or self.head.one_to_one is None:
            return self.head.maps(levels)
        assert isinstance(self.head, DecoupledHead)
        return self.head.maps(levels, self.head.one_to_one(levels))


class DeployedOneToOne(nn.Module):
    """YOLOv5's head with the objectness of a branch: one convolution per level gives the maps, as without it.

    It reads the branch's objectness of each anchor beside the level's channels, and hands it through: outputs need not
    be taken apart and put together again.
    """

    def __init__(self, head: DetectHead, branch: OneToOneBranch) -> None:
        super().__init__()
        self.branch = branch
        self.convs = nn.ModuleList(_with_objectness(conv, head) for conv in head.convs)

    def forward(self, levels: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        parts = zip(self.convs, levels, self.branch(levels), strict=True)
        return [conv(torch.cat([x, objectness], 1)) for conv, x, objectness in parts]


def _with_objectness(usual: nn.Module, head: DetectHead) -> nn.Conv2d:
    """A level's convolution that takes objectness from further input channels, one for each anchor."""
    assert isinstance(usual, nn.Conv2d) and usual.bias is not None
    layer = nn.Conv2d(usual.in_channels + head.num_anchors, usual.out_channels, 1).requires_grad_(False)
    assert layer.bias is not None
    layer.weight.zero_()
    layer.weight[:, : usual.in_channels] = usual.weight
    layer.bias[:] = usual.bias
    for anchor in range(head.num_anchors):
        row = anchor * head.num_outputs + 4
        layer.weight[row], layer.bias[row] = 0.0, 0.0
        layer.weight[row, usual.in_channels + anchor] = 1.0
    return layer
