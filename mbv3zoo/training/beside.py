"""A detector and what is trained beside it."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from mbv3zoo.models.network import DetectorNetwork


class WithBeside(nn.Module):
    """A detector with modules that see its feature maps, and are dropped after training.

    Args:
        detector: The detector; shared, not copied.
        beside: 'auxiliary', on the feature maps of the backbone, and 'imitation', on those of the neck, or one of them.
    """

    def __init__(self, detector: DetectorNetwork, beside: nn.ModuleDict) -> None:
        super().__init__()
        self.detector, self.beside = detector, beside

    def forward(self, images: torch.Tensor) -> tuple[list[torch.Tensor], dict[str, Any]]:
        """Images, as for the detector -> its raw logits, and what each of the modules gives."""
        features = self.detector.backbone(self.detector._normalise(images))
        maps = self.detector.neck(features)
        seen = {'auxiliary': features, 'imitation': maps}
        return self.detector.head(maps), {name: module(seen[name]) for name, module in self.beside.items()}
