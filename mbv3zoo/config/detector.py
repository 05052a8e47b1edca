"""What a detector is: all that its network is built from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BeforeValidator,
    Discriminator,
    Field,
    PositiveFloat,
    SerializerFunctionWrapHandler,
    Tag,
    field_serializer,
    model_validator,
)

from mbv3zoo.config.backbone_args import plain_args
from mbv3zoo.config.base import Config
from mbv3zoo.config.layer_rows import LayerRows
from mbv3zoo.config.license_record import LicenseRecord
from mbv3zoo.config.types import ClassNames, ImageSize, LevelAnchors

# YOLOv5's anchors: (width, height) in pixels of the network's input, for strides 8, 16 and 32.
DEFAULT_ANCHORS = (
    ((10.0, 13.0), (16.0, 30.0), (33.0, 23.0)),
    ((30.0, 61.0), (62.0, 45.0), (59.0, 119.0)),
    ((116.0, 90.0), (156.0, 198.0), (373.0, 326.0)),
)
STRIDES = (8, 16, 32)
MOST_CLASSES = 65536

Multiple = Annotated[float, Field(gt=0, le=4, strict=True)]
# `mbv3zoo.models.neck_table` has their classes.
NeckName = Literal['pan', 'light']


class DetectorConfig(Config):
    """All that is needed to build a detector's network: what is saved beside the weights.

    Example:
        >>> config = mbv3zoo.DetectorConfig(backbone='resnet18', class_names=['cat', 'dog'], image_size=320)
        >>> config.num_classes, config.image_size
        (2, (320, 320))
        >>> detector = mbv3zoo.create_detector(config)
    """

    # Upper bounds, here and below, are far beyond any use: a config may come from anywhere, and is built before its
    # weights are looked at.
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
    anchors: Annotated[
        Annotated[int, Field(ge=1, le=64, strict=True), Tag('number')] | Annotated[LevelAnchors, Tag('levels')],
        Discriminator(lambda value: 'number' if isinstance(value, (int, float)) else 'levels'),
    ] = DEFAULT_ANCHORS
    """Per stride, finest first, (width, height) in input pixels; or an int: that many default anchors per stride."""
    neck: Annotated[
        Annotated[LayerRows, Tag('rows')] | Annotated[NeckName, Tag('name')],
        Discriminator(lambda value: 'name' if isinstance(value, str) else 'rows'),
        BeforeValidator(lambda value: 'pan' if value is None else value),
    ] = 'pan'
    """YOLOv5's 'pan', the 'light' one of depthwise separable convolutions, or rows of a YOLOv5 layer list."""
    depth_multiple: Multiple = 0.33
    """Factor on the number of repeated blocks in the neck (YOLOv5's compound scaling)."""
    width_multiple: Multiple = 0.25
    """Factor on the number of channels in the neck (YOLOv5's compound scaling)."""
    activation: str = 'silu'
    """Activation function of the neck, by its name in timm.layers."""
    mean: tuple[float, ...] | None = None
    """Mean per channel, for images in 0..1; None uses the backbone's."""
    std: tuple[PositiveFloat, ...] | None = None
    """Standard deviation per channel, for images in 0..1; None uses the backbone's."""
    licenses: LicenseRecord = LicenseRecord()
    """What the weights were made from, and under which licences."""

    @field_serializer('neck', mode='wrap', when_used='json')
    def _neck_as_before(self, neck: LayerRows | NeckName, write: SerializerFunctionWrapHandler) -> Any:
        """In files null is 'pan', as it was before necks had names."""
        return None if neck == 'pan' else write(neck)

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
        elif isinstance(count := data.get('num_classes', 80), int) and count <= MOST_CLASSES:
            data['class_names'] = tuple(str(i) for i in range(count))
        return data

    @model_validator(mode='after')
    def _check(self) -> Self:
        twice = {name for name, count in Counter(self.class_names).items() if count > 1}
        if twice:
            raise ValueError(f'class_names must be unique; given more than once: {sorted(twice)}')
        if any(side % STRIDES[-1] for side in self.image_size):
            raise ValueError(f'image_size must be multiples of {STRIDES[-1]}, given {self.image_size}')
        levels = len(self.neck.outputs) if isinstance(self.neck, LayerRows) else len(STRIDES)
        counts = [self.anchors] * levels if isinstance(self.anchors, int) else [len(level) for level in self.anchors]
        if len(counts) != levels or len(set(counts)) != 1 or not counts[0]:
            raise ValueError(f'anchors must hold {levels} lists of equal length, given lengths {counts}')
        for name in ('mean', 'std'):
            value = getattr(self, name)
            if value is not None and len(value) != self.in_chans:
                raise ValueError(f'{name} must have in_chans={self.in_chans} values, given {len(value)}')
        return self
