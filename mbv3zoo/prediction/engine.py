"""Runs a torch detector for prediction: uint8 pictures in, kept detections out."""

from __future__ import annotations

from itertools import chain
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from mbv3zoo.models.modes import evaluation_mode


class TorchEngine:
    """A detector as `mbv3zoo.prediction.predict` takes it.

    Args:
        detector: Has a `config` and `postprocess`; its training flags are as before after each call.

    Attributes:
        info: Its config.
        tensors: Detections hold tensors.
    """

    tensors = True

    def __init__(self, detector: nn.Module) -> None:
        self.detector = detector
        self.info = detector.config

    def detect(self, images: np.ndarray, **thresholds: Any) -> list[tuple[Tensor, Tensor, Tensor]]:
        """Boxes (xyxy, letterbox pixels), scores and labels of each picture of uint8 [B, C, H, W], on the CPU."""
        # The detector's device and type; one without weights or buffers runs on the CPU.
        weight = next(
            (part for part in chain(self.detector.parameters(), self.detector.buffers()) if part.is_floating_point()),
            torch.zeros(0),
        )
        with evaluation_mode(self.detector), torch.inference_mode():
            pixels = (torch.from_numpy(images).to(weight.device).float() / 255).to(weight.dtype)
            kept = self.detector.postprocess(self.detector(pixels), **thresholds)
        # Cloned out here, the results are ordinary tensors that may be changed and used in autograd.
        return [tuple(part.cpu().clone() for part in parts) for parts in kept]
