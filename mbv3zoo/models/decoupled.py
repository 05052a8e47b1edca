"""A decoupled head: boxes and classes have layers of their own, and the anchors of a cell share its classes."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from mbv3zoo.models.head import Head
from mbv3zoo.models.light_pan import SeparableConv
from mbv3zoo.models.priors import class_prior, objectness_prior


class DecoupledHead(Head):
    """P3, P4, P5 -> raw logits, by two separable convolutions per level, one for boxes and one for classes.

    Where an object is and what it is need different features (Ge et al., "YOLOX", https://arxiv.org/abs/2107.08430,
    section 2.1). What is at a place does not depend on the anchor: its classes are computed once for all anchors of a
    cell, K outputs in place of A * K, which pays for the added layers (docs/recipe.md).

    Args:
        in_channels: Channels of each level.
        num_classes, num_anchors, strides: As for `Head`.
        act: Activation function, by its name in timm.layers.
        nms: As for `Head`.
    """

    shared_classes = True

    def __init__(
        self,
        in_channels: Sequence[int],
        num_classes: int,
        num_anchors: int,
        strides: Sequence[int],
        act: str,
        nms: bool = True,
    ) -> None:
        super().__init__(num_classes, num_anchors, strides, nms)
        self.box_towers = nn.ModuleList(SeparableConv(channels, act=act) for channels in in_channels)
        self.class_towers = nn.ModuleList(SeparableConv(channels, act=act) for channels in in_channels)
        self.box_convs = nn.ModuleList(nn.Conv2d(channels, num_anchors * 5, 1) for channels in in_channels)
        self.class_convs = nn.ModuleList(nn.Conv2d(channels, num_classes, 1) for channels in in_channels)
        with torch.no_grad():
            for box, classes, stride in zip(self.box_convs, self.class_convs, strides, strict=True):
                assert isinstance(box.bias, torch.Tensor) and isinstance(classes.bias, torch.Tensor)
                box.bias.view(num_anchors, 5)[:, 4] += objectness_prior(stride)
                classes.bias += class_prior(num_classes)

    def layers(self, features: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        """As `Head.layers`."""
        found = []
        for level, x in enumerate(features):
            # Cells flat: else OpenVINO joins the parts channels last, and changes the layout of A * (5 + K) channels
            # in place of A * 5 + K, an eighth of the time of a small detector.
            boxes = self.box_convs[level](self.box_towers[level](x)).flatten(2)
            classes = self.class_convs[level](self.class_towers[level](x)).flatten(2)
            joined = torch.cat([part for own in boxes.chunk(self.num_anchors, 1) for part in (own, classes)], 1)
            found.append(joined.view(*joined.shape[:2], *x.shape[2:]))
        return found
