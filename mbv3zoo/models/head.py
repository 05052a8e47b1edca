"""The anchor-based head of YOLOv5: one 1x1 convolution per level, raw logits out."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import nn


class DetectHead(nn.Module):
    """P3, P4, P5 -> raw logits.

    Args:
        in_channels: Channels of each level.
        num_classes: Number of classes K.
        num_anchors: Anchors per cell, A.
        strides: Stride of each level, in input pixels per cell.

    Returns (forward):
        One tensor per level, [B, A, H, W, 5 + K]: tx, ty, tw, th, objectness, K classes, before the sigmoid.
    """

    def __init__(self, in_channels: Sequence[int], num_classes: int, num_anchors: int, strides: Sequence[int]) -> None:
        super().__init__()
        self.num_outputs = 5 + num_classes
        self.num_anchors = num_anchors
        convs = [nn.Conv2d(c, num_anchors * self.num_outputs, 1) for c in in_channels]
        for conv, stride in zip(convs, strides, strict=True):
            assert conv.bias is not None
            self._init_bias(conv.bias, stride)
        self.convs = nn.ModuleList(convs)

    def _init_bias(self, bias: torch.Tensor, stride: int) -> None:
        # A prior of about 8 objects per image of 640 pixels, 0.6 of them of each class (as for the focal loss, arXiv
        # 1708.02002 section 3.3): the first steps need not learn that most cells are empty.
        with torch.no_grad():
            bias = bias.view(self.num_anchors, self.num_outputs)
            bias[:, 4] += self.objectness_prior(stride)
            bias[:, 5:] += math.log(0.6 / (self.num_outputs - 5 - 0.99999))

    @staticmethod
    def objectness_prior(stride: int) -> float:
        """The logit of objectness at which training starts, at a level of a stride."""
        return math.log(8 / (640 / stride) ** 2)

    def forward(self, features: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        logits = []
        for x, conv in zip(features, self.convs, strict=True):
            batch, _, height, width = x.shape
            x = conv(x).view(batch, self.num_anchors, self.num_outputs, height, width)
            logits.append(x.permute(0, 1, 3, 4, 2))
        return logits
