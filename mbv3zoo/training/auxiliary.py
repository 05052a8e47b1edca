"""An auxiliary head: it trains the backbone beside a detector's own head, and is dropped after training."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from mbv3zoo.models.head import DetectHead
from mbv3zoo.models.layers import conv
from mbv3zoo.models.light_pan import SeparableConv
from mbv3zoo.models.network import DetectorNetwork

_CHANNELS = 64


class AuxiliaryHead(nn.Module):
    """A small head on the feature maps of a backbone, in front of the neck.

    Its loss reaches the backbone without passing through the neck, which has learned little in the first epochs
    ("deep supervision", Lee et al., https://arxiv.org/abs/1409.5185; of detectors Wang et al., "YOLOv7",
    https://arxiv.org/abs/2207.02696, section 4.2, there with assignments of the other head). A level is narrowed by a
    1x1 convolution, then comes a depthwise 5x5 one. Anchors are the detector's.

    Args:
        network: The detector. Levels of strides that its head does not have are left out.

    Attributes:
        strides: Stride of each level, in input pixels per cell.
        anchors: [levels, A, 2], (width, height) in pixels.

    Raises:
        ValueError: Backbone and head have no stride in common.
    """

    def __init__(self, network: DetectorNetwork) -> None:
        super().__init__()
        backbone, settings = network.backbone, network.config
        self.levels = [index for index, stride in enumerate(backbone.strides) if stride in network.strides]
        if not self.levels:
            raise ValueError(
                f'auxiliary_gain: the backbone has the strides {list(backbone.strides)}, and the head '
                f'{list(network.strides)}; expected one in common, or auxiliary_gain 0'
            )
        self.strides = tuple(backbone.strides[index] for index in self.levels)
        self.anchors = torch.stack([network.anchors[network.strides.index(stride)] for stride in self.strides])
        act = settings.activation
        self.narrow = nn.ModuleList(
            nn.Sequential(conv(backbone.channels[index], _CHANNELS, act=act), SeparableConv(_CHANNELS, act=act))
            for index in self.levels
        )
        channels = [_CHANNELS] * len(self.levels)
        self.head = DetectHead(channels, settings.num_classes, network.head.num_anchors, self.strides)

    def forward(self, features: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        """Feature maps of the backbone -> raw logits, [B, A, H, W, 5 + K] per level."""
        chosen = [features[index] for index in self.levels]
        return self.head([narrow(x) for narrow, x in zip(self.narrow, chosen, strict=True)])
