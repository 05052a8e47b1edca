"""A detector's backbone: where it fails at an image size, it says which sizes there are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from mbv3zoo.models.out_of_memory import is_out_of_memory
from mbv3zoo.models.pyramid import PyramidBackbone
from mbv3zoo.models.sizes import refusal


class Backbone(PyramidBackbone):
    """A `PyramidBackbone` that tells a wrong image size from other errors.

    Sizes are searched only after it has failed, since a model has to be built for each that is tried.

    Args:
        name, image_size, pretrained, **kwargs: As for `PyramidBackbone`.

    Raises:
        ValueError: As there, or it cannot be built for that size; the sizes that it takes are named.
    """

    def __init__(self, name: str, image_size: tuple[int, int], pretrained: bool = False, **kwargs: Any) -> None:
        try:
            super().__init__(name, image_size, pretrained, **kwargs)
        except ValueError as error:
            if reason := refusal(name, image_size, image_size, **kwargs):
                raise ValueError(reason) from error
            raise
        self._built = image_size, kwargs

    def forward(self, images: torch.Tensor) -> list[torch.Tensor]:
        """As `PyramidBackbone.forward`.

        Raises:
            ValueError: It does not take images of this size; it says which it takes.
        """
        try:
            return super().forward(images)
        # timm's families say by all of these that an image has the wrong size; other causes pass.
        except (AssertionError, RuntimeError, ValueError) as error:
            if not is_out_of_memory(error) and (reason := self._refusal(images.shape[2:])):
                raise ValueError(reason) from error
            raise

    def _refusal(self, size: Sequence[int]) -> str | None:
        height, width = size
        built, kwargs = self._built
        return refusal(self.name, built, (height, width), **kwargs)
