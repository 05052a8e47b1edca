"""What heads have in common, and the anchor-based one of YOLOv5: one 1x1 convolution per level, raw logits out."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from mbv3zoo.models.one_to_one import OneToOneBranch, with_objectness
from mbv3zoo.models.priors import class_prior, objectness_prior


class Head(nn.Module):
    """P3, P4, P5 -> raw logits: what the heads have in common.

    Args:
        num_classes: Number of classes K.
        num_anchors: Anchors per cell, A.
        one_to_one: A branch beside the head, whose objectness needs no NMS.
        nms: Whether predictions need NMS: those of the head; else those with the branch's objectness.

    Returns (forward):
        One tensor per level, [B, A, H, W, 5 + K]: tx, ty, tw, th, objectness, K classes, before the sigmoid. In
        training mode a head with a branch gives the levels of both, those with the branch's objectness last.
    """

    def __init__(
        self, num_classes: int, num_anchors: int, one_to_one: OneToOneBranch | None = None, nms: bool = True
    ) -> None:
        super().__init__()
        self.num_outputs = 5 + num_classes
        self.num_anchors = num_anchors
        self.nms = nms
        self.one_to_one = one_to_one

    def maps(self, features: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        """Features of each level -> its outputs, [B, A * (5 + K), H, W], those of an anchor together."""
        raise NotImplementedError

    def forward(self, features: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        logits = []
        for x in self.maps(features):
            batch, _, height, width = x.shape
            x = x.view(batch, self.num_anchors, self.num_outputs, height, width)
            logits.append(x.permute(0, 1, 3, 4, 2))
        if self.one_to_one is None or (self.nms and not self.training):
            return logits
        # What is detached keeps the branch from changing how the rest is trained.
        objectness = self.one_to_one([level.detach() for level in features])
        alone = with_objectness([level.detach() for level in logits], objectness)
        return [*logits, *alone] if self.training else alone


class DetectHead(Head):
    """One convolution per level.

    Args:
        in_channels: Channels of each level.
        num_classes, num_anchors, one_to_one, nms: As for `Head`.
        strides: Stride of each level, in input pixels per cell.
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        num_classes: int,
        num_anchors: int,
        strides: Sequence[int],
        one_to_one: OneToOneBranch | None = None,
        nms: bool = True,
    ) -> None:
        super().__init__(num_classes, num_anchors, one_to_one, nms)
        convs = [nn.Conv2d(c, num_anchors * self.num_outputs, 1) for c in in_channels]
        for conv, stride in zip(convs, strides, strict=True):
            assert conv.bias is not None
            with torch.no_grad():
                bias = conv.bias.view(num_anchors, self.num_outputs)
                bias[:, 4] += objectness_prior(stride)
                bias[:, 5:] += class_prior(num_classes)
        self.convs = nn.ModuleList(convs)

    def maps(self, features: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        """As `Head.maps`."""
        return [conv(x) for conv, x in zip(self.convs, features, strict=True)]
