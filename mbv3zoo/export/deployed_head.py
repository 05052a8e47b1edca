"""An LR-ASPP head as a graph with fewer multiplications; the numbers are the same but for rounding.

A 1x1 convolution commutes with bilinear interpolation, whose weights add up to 1: the high map is classified before it
is upsampled, on a quarter of the cells, where it has more channels than there are classes.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn.functional import interpolate
from torchvision.models.segmentation.lraspp import LRASPPHead


class DeployedLRASPP(nn.Module):
    """A fused LR-ASPP head; low and high feature map -> [logits [B, K, H, W] of the low map's size].

    Args:
        head: The head, fused. Its layers are shared, not copied.
    """

    def __init__(self, head: LRASPPHead) -> None:
        super().__init__()
        self.cbr, self.scale = head.cbr, head.scale
        self.low_classifier, self.high_classifier = head.low_classifier, head.high_classifier
        self.classify_first = self.high_classifier.in_channels >= self.high_classifier.out_channels

    def forward(self, features: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        low, high = features
        high = self.cbr(high) * self.scale(high)
        size = low.shape[2:]
        if self.classify_first:
            high = interpolate(self.high_classifier(high), size, mode='bilinear', align_corners=False)
        else:
            high = self.high_classifier(interpolate(high, size, mode='bilinear', align_corners=False))
        return [self.low_classifier(low) + high]
