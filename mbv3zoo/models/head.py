"""What heads have in common, and the anchor-based one of YOLOv5: one 1x1 convolution per level, raw logits out."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from mbv3zoo.models.peaks import only_peaks
from mbv3zoo.models.priors import class_prior, objectness_prior


class Head(nn.Module):
    """P3, P4, P5 -> raw logits: what the heads have in common.

    Args:
        num_classes: Number of classes K.
        num_anchors: Anchors per cell, A.
        strides: Stride of each level, in input pixels per cell.
        nms: Whether predictions need NMS; without, only the peaks of the scores are left (`only_peaks`).

    Attributes:
        shared_classes: Whether the anchors of a cell have the same classes.

    Returns (forward):
        One tensor per level, [B, A, H, W, 5 + K]: tx, ty, tw, th, objectness, K classes, before the sigmoid. In
        training mode all of them, with `nms` or without.
    """

    shared_classes = False

    def __init__(self, num_classes: int, num_anchors: int, strides: Sequence[int], nms: bool = True) -> None:
        super().__init__()
        self.num_outputs = 5 + num_classes
        self.num_anchors = num_anchors
        self.strides = tuple(strides)
        self.nms = nms

    def layers(self, features: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        """Features of each level -> its outputs, [B, A * (5 + K), H, W], those of an anchor together."""
        raise NotImplementedError

    def peaks(self, maps: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        """What `layers` gave, with the peaks only where predictions are to need no NMS."""
        if self.nms or self.training:
            return list(maps)
        return only_peaks(maps, self.num_anchors, self.strides, self.shared_classes)

    def forward(self, features: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        logits = []
        for x in self.peaks(self.layers(features)):
            batch, _, height, width = x.shape
            x = x.view(batch, self.num_anchors, self.num_outputs, height, width)
            logits.append(x.permute(0, 1, 3, 4, 2))
        return logits


class DetectHead(Head):
    """One convolution per level.

    Args:
        in_channels: Channels of each level.
        num_classes, num_anchors, strides, nms: As for `Head`.
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        num_classes: int,
        num_anchors: int,
        strides: Sequence[int],
        nms: bool = True,
    ) -> None:
        super().__init__(num_classes, num_anchors, strides, nms)
        convs = [nn.Conv2d(c, num_anchors * self.num_outputs, 1) for c in in_channels]
        for conv, stride in zip(convs, strides, strict=True):
            assert conv.bias is not None
            with torch.no_grad():
                bias = conv.bias.view(num_anchors, self.num_outputs)
                bias[:, 4] += objectness_prior(stride)
                bias[:, 5:] += class_prior(num_classes)
        self.convs = nn.ModuleList(convs)

    def layers(self, features: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        """As `Head.layers`."""
        return [conv(x) for conv, x in zip(self.convs, features, strict=True)]
