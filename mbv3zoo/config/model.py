"""What every model is built from, whatever its task: backbone, classes, images."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import (
    BeforeValidator,
    Field,
    PositiveFloat,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from mbv3zoo.config.backbone_args import plain_args
from mbv3zoo.config.base import Config
from mbv3zoo.config.fit_record import FitRecord
from mbv3zoo.config.license_record import LicenseRecord
from mbv3zoo.config.types import ClassNames, ImageSize

MOST_CLASSES = 65536
# Sides of images are multiples of it.
COARSEST_STRIDE = 32
Task = Literal['detection', 'segmentation']


class ModelConfig(Config):
    """The settings that detectors and segmenters have in common."""

    # Fields that earlier versions do not know, with their defaults.
    later: ClassVar[dict[str, Any]] = {'widths': {}, 'fit': None}

    # Upper bounds, here and below, are far beyond any use: a config may come from anywhere, and is built before its
    # weights are looked at.
    task: Task
    """What the model finds."""
    backbone: str
    """A timm model name, with or without a pretrained tag."""
    backbone_args: Annotated[
        dict[str, Any],
        BeforeValidator(lambda value: plain_args(value) if isinstance(value, Mapping) else value),
    ] = {}
    """Further arguments of timm.create_model, plain JSON values."""
    num_classes: Annotated[int, Field(ge=1, le=MOST_CLASSES, strict=True)] = 80
    """Number of classes K; follows from class_names if those are given."""
    class_names: ClassNames = ()
    """One unique name per class; ('0', '1', ...) if only num_classes is given."""
    in_chans: Annotated[int, Field(ge=1, le=1024, strict=True)] = 3
    """Number of channels of the input image."""
    image_size: ImageSize = (640, 640)
    """(height, width) in pixels that images are letterboxed to, multiples of 32; an int means a square."""
    mean: tuple[float, ...] | None = None
    """Mean per channel, for images in 0..1; None uses the backbone's."""
    std: tuple[PositiveFloat, ...] | None = None
    """Standard deviation per channel, for images in 0..1; None uses the backbone's."""
    widths: dict[str, Annotated[int, Field(ge=0, strict=True)]] = {}
    """Channels of layers behind the backbone, by a layer's name, where they are not the usual ones."""
    fit: FitRecord | None = None
    """What the model was fitted to, where it was (`mbv3zoo.fit`)."""
    licenses: LicenseRecord = LicenseRecord()
    """What the weights were made from, and under which licences."""

    @model_serializer(mode='wrap')
    def _without_later_fields(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Files of models with none of them are those of earlier versions, which would refuse the keys."""
        return {key: value for key, value in write(self).items() if self.later.get(key, ...) != value}

    @model_validator(mode='before')
    @classmethod
    def _classes(cls, data: Any) -> Any:
        if not isinstance(data, Mapping):
            return data
        data = dict(data)
        names = () if data.get('class_names') is None else data['class_names']
        if not isinstance(names, (list, tuple)):
            raise ValueError(f'class_names must be a list of names, given {names!r}')
        if not names and data.get('class_names') is not None and 'num_classes' not in data:
            raise ValueError('class_names must hold one name at least, or num_classes be given')
        if names:
            data.setdefault('num_classes', len(names))
            if data['num_classes'] != len(names):
                raise ValueError(f'num_classes is {data["num_classes"]!r}, but class_names has {len(names)} names')
        else:
            count = data.get('num_classes', cls.model_fields['num_classes'].default)
            if isinstance(count, int) and count <= MOST_CLASSES:
                data['class_names'] = tuple(str(i) for i in range(count))
        return data

    @model_validator(mode='after')
    def _check_common(self) -> Self:
        twice = {name for name, count in Counter(self.class_names).items() if count > 1}
        if twice:
            raise ValueError(f'class_names must be unique; given more than once: {sorted(twice)}')
        if any(side % COARSEST_STRIDE for side in self.image_size):
            raise ValueError(f'image_size must be multiples of {COARSEST_STRIDE}, given {self.image_size}')
        for name in ('mean', 'std'):
            value = getattr(self, name)
            if value is not None and len(value) != self.in_chans:
                raise ValueError(f'{name} must have in_chans={self.in_chans} values, given {len(value)}')
        return self
