"""What a synthetic dataset is made of."""

from __future__ import annotations

from pathlib import Path
from typing import Self

from pydantic import Field, NonNegativeInt, model_validator

from mbv3zoo.config.base import Config

# The smallest side, in pixels, of an object's visible part; smaller ones cannot be recognised.
MIN_VISIBLE_SIDE = 6
# The smallest visible fraction of an object's mask.
MIN_VISIBLE_SHARE = 0.25


class SyntheticConfig(Config):
    """Settings of `mbv3zoo.synthesize`.

    Example:
        >>> mbv3zoo.SyntheticConfig(train=100, val=20).image_size
        320
    """

    train: NonNegativeInt = 4000
    """Number of scenes in the train split."""
    val: NonNegativeInt = 500
    """Number of scenes in the val split."""
    shift: NonNegativeInt = 0
    """Number of scenes in the shift split: other backgrounds, a worse camera."""
    image_size: int = Field(320, ge=64, le=4096)
    """Longest side of a scene, in pixels."""
    seed: NonNegativeInt = 0
    """Seed of all random numbers: the same one gives the same bytes."""
    workers: int | None = Field(None, ge=0, le=256)
    """Number of processes; 0 and 1 use the calling one, None one a core that may be used, at most 8."""
    objects: Path | None = None
    """Folder with a folder of cut-out PNGs per class; None draws geometric objects."""
    backgrounds: Path | None = None
    """Folder of background images; None, and the shift split, draw them."""
    min_objects: int = Field(1, ge=0, le=200)
    """Minimum number of objects to place in a scene."""
    max_objects: int = Field(8, ge=1, le=200)
    """Maximum number of objects to place in a scene."""
    min_scale: float = Field(0.1, gt=0, le=1)
    """Minimum of an object's longest side, as a fraction of image_size."""
    max_scale: float = Field(0.6, gt=0, le=1)
    """Maximum of an object's longest side, as a fraction of image_size."""
    masks: bool = False
    """Also write masks: the class of every pixel, 0 for the background."""
    negatives: float = Field(0.03, ge=0, le=1)
    """Fraction of scenes without objects."""

    @model_validator(mode='after')
    def _check_ranges(self) -> Self:
        if self.min_objects > self.max_objects:
            raise ValueError(
                f'min_objects is {self.min_objects}, above max_objects {self.max_objects}: '
                'lower min_objects or raise max_objects'
            )
        if self.min_scale > self.max_scale:
            raise ValueError(
                f'min_scale is {self.min_scale}, above max_scale {self.max_scale}: lower min_scale or raise max_scale'
            )
        if self.min_scale * self.image_size < MIN_VISIBLE_SIDE:
            raise ValueError(
                f'min_scale {self.min_scale} of image_size {self.image_size} gives objects of '
                f'{self.min_scale * self.image_size:.1f} px; expected at least {MIN_VISIBLE_SIDE} px: '
                f'set min_scale to {MIN_VISIBLE_SIDE / self.image_size:.3f} or more'
            )
        return self
