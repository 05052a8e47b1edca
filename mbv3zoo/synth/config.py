"""What a synthetic data set is made of."""

from pathlib import Path

from pydantic import Field, model_validator

from mbv3zoo.config.base import Config

# The smallest side, in pixels, of an object's visible part: below it nobody could name the class.
MIN_VISIBLE_SIDE = 6
# The smallest part of an object's mask that has to stay visible for the object to be in the scene.
MIN_VISIBLE_SHARE = 0.25


class SyntheticConfig(Config):
    """Settings of :func:`mbv3zoo.synth.synthesize`; a bad value is a ``ValueError``."""

    train: int = Field(4000, ge=0, description='scenes in the train split')
    val: int = Field(500, ge=0, description='scenes in the val split')
    shift: int = Field(0, ge=0, description='scenes in the shift split: other backgrounds, a worse camera')
    image_size: int = Field(320, ge=64, le=4096, description='longest side of a scene, pixels')
    seed: int = Field(0, ge=0, description='the same seed gives the same bytes')
    workers: int = Field(2, ge=0, le=256, description='processes; 0 or 1 stays in this process')
    objects: Path | None = Field(None, description='folders of PNGs, one a class; None draws objects')
    backgrounds: Path | None = Field(None, description='folder of pictures; None, and the shift split, draw')
    min_objects: int = Field(1, ge=0, le=200, description='fewest objects tried in a scene')
    max_objects: int = Field(8, ge=1, le=200, description='most objects in a scene')
    min_scale: float = Field(0.1, gt=0, le=1, description='smallest longest side of an object / image_size')
    max_scale: float = Field(0.6, gt=0, le=1, description='largest longest side of an object / image_size')
    negatives: float = Field(0.03, ge=0, le=1, description='share of scenes without objects')

    @model_validator(mode='after')
    def _check_ranges(self) -> 'SyntheticConfig':
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
