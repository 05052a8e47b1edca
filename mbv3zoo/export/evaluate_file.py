"""AP of an exported file, by the same evaluation as a detector's own."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn

from mbv3zoo.evaluation.run import Metrics, evaluate
from mbv3zoo.models.network import DetectorNetwork
from mbv3zoo.runtimes.exported_detector import ExportedDetector


class FileNetwork(nn.Module):
    """An exported file where `mbv3zoo.evaluation.run.evaluate` expects a network.

    Args:
        exported: The file, open; it gives maps.
        detector: What it was made from, for its decoding and suppression.
    """

    def __init__(self, exported: ExportedDetector, detector: DetectorNetwork) -> None:
        super().__init__()
        self.exported = exported
        self.config = detector.config.model_copy(update={'image_size': exported.info.image_size})
        self.postprocess = detector.postprocess
        self.register_buffer('anchors', detector.anchors.cpu(), persistent=False)

    def forward(self, images: torch.Tensor) -> list[torch.Tensor]:
        """float [B, C, H, W] in 0..1 -> raw logits, as `DetectorNetwork.forward`."""
        pixels = (images * 255).round().to(torch.uint8).numpy()
        return to_logits(self.exported.run(pixels), self.anchors.shape[1])


def to_logits(maps: list[np.ndarray], num_anchors: int) -> list[torch.Tensor]:
    """Maps [B, A * (5 + K), H, W] as raw logits [B, A, H, W, 5 + K]."""
    tensors = [torch.from_numpy(np.asarray(x, np.float32)) for x in maps]
    return [
        x.view(x.shape[0], num_anchors, x.shape[1] // num_anchors, *x.shape[2:]).permute(0, 1, 3, 4, 2) for x in tensors
    ]


def evaluate_file(exported: ExportedDetector, detector: DetectorNetwork, data: Any, **options: Any) -> Metrics:
    """COCO figures of an exported file on a labelled set.

    Args:
        exported: The file, open; it gives maps.
        detector: What it was made from.
        data: The labelled set.
        **options: As for `mbv3zoo.evaluation.run.evaluate`.
    """
    return evaluate(FileNetwork(exported, detector), data, **options).metrics
