"""What a detector is: all that its network is built from."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import (
    BeforeValidator,
    Discriminator,
    Field,
    SerializerFunctionWrapHandler,
    Tag,
    field_serializer,
    model_validator,
)

from mbv3zoo.config.layer_rows import LayerRows
from mbv3zoo.config.model import COARSEST_STRIDE, ModelConfig
from mbv3zoo.config.types import LevelAnchors

# YOLOv5's anchors: (width, height) in pixels of the network's input, for strides 8, 16 and 32.
DEFAULT_ANCHORS = (
    ((10.0, 13.0), (16.0, 30.0), (33.0, 23.0)),
    ((30.0, 61.0), (62.0, 45.0), (59.0, 119.0)),
    ((116.0, 90.0), (156.0, 198.0), (373.0, 326.0)),
)
STRIDES = (8, 16, COARSEST_STRIDE)

Multiple = Annotated[float, Field(gt=0, le=4, strict=True)]
# `mbv3zoo.models.neck_table` has their classes.
NeckName = Literal['pan', 'light']
HeadName = Literal['plain', 'decoupled']


class DetectorConfig(ModelConfig):
    """All that is needed to build a detector's network: what is saved beside the weights.

    Example:
        >>> config = mbv3zoo.DetectorConfig(backbone='resnet18', class_names=['cat', 'dog'], image_size=320)
        >>> config.num_classes, config.image_size
        (2, (320, 320))
        >>> detector = mbv3zoo.create_detector(config)
    """

    later: ClassVar[dict[str, Any]] = ModelConfig.later | {'head': 'plain', 'nms': True}

    task: Literal['detection'] = Field('detection', exclude=True)
    """What the model finds: objects and their boxes."""
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
    """Activation function of neck and head, by its name in timm.layers."""
    head: HeadName = 'plain'
    """YOLOv5's 'plain' head, or the 'decoupled' one with layers of their own for boxes and for classes."""
    nms: Annotated[bool, Field(strict=True)] = True
    """Whether predictions need NMS; with False the head leaves the peaks of its scores (`Detector.without_nms`)."""

    @field_serializer('neck', mode='wrap', when_used='json')
    def _neck_as_before(self, neck: LayerRows | NeckName, write: SerializerFunctionWrapHandler) -> Any:
        """In files null is 'pan', as it was before necks had names."""
        return None if neck == 'pan' else write(neck)

    @model_validator(mode='after')
    def _check(self) -> Self:
        levels = len(self.neck.outputs) if isinstance(self.neck, LayerRows) else len(STRIDES)
        counts = [self.anchors] * levels if isinstance(self.anchors, int) else [len(level) for level in self.anchors]
        if len(counts) != levels or len(set(counts)) != 1 or not counts[0]:
            raise ValueError(f'anchors must hold {levels} lists of equal length, given lengths {counts}')
        return self
