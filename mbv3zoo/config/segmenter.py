"""What a segmenter is: all that its network is built from."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from mbv3zoo.config.model import ModelConfig
from mbv3zoo.config.types import ImageSize
from mbv3zoo.images.masks import IGNORE_INDEX


class SegmenterConfig(ModelConfig):
    """All that is needed to build a segmenter's network: what is saved beside the weights.

    Example:
        >>> config = mbv3zoo.SegmenterConfig(backbone='resnet18', class_names=['background', 'cat'])
        >>> config.num_classes, config.image_size, config.low_stride
        (2, (512, 512), 8)
        >>> segmenter = mbv3zoo.create_segmenter(config)
    """

    task: Literal['segmentation'] = 'segmentation'
    """What the model finds: the class of every pixel."""
    num_classes: Annotated[int, Field(ge=1, le=IGNORE_INDEX, strict=True)] = 21
    """Number of classes K, the background included; follows from class_names if those are given."""
    image_size: ImageSize = (512, 512)
    """(height, width) in pixels that images are letterboxed to, multiples of 32; an int means a square."""
    low_stride: Literal[4, 8] = 8
    """Stride of the low map, which has the details; the logits have it too, before they are upsampled."""
    high_stride: Literal[16, 32] | None = None
    """Stride of the high map, which has the context; None takes 16 where the backbone has it or dilates, else 32."""
    head_channels: Annotated[int, Field(ge=1, le=4096, strict=True)] = 128
    """Channels of the head's two branches."""
