"""The necks that a config can name, and what builds them."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from mbv3zoo.config.detector import DetectorConfig, NeckName
from mbv3zoo.config.layer_rows import LayerRows
from mbv3zoo.models.layer_lists.layer_neck import LayerNeck
from mbv3zoo.models.light_pan import LightPAN
from mbv3zoo.models.neck import PAN, PathAggregation
from mbv3zoo.models.pyramid import PyramidBackbone


class Neck(NamedTuple):
    """A neck with a name.

    Attributes:
        build: Its class: channels of C3, C4, C5, depth multiple, width multiple, name of the activation -> the neck.
        shown: What `mbv3zoo info` calls it.
        in_card: What a model card calls it.
    """

    build: Callable[[list[int], float, float, str], PathAggregation]
    shown: str
    in_card: str


NECKS: dict[NeckName, Neck] = {
    'pan': Neck(PAN, 'PAN', 'PAN with C3 and SPPF'),
    'light': Neck(LightPAN, 'light PAN', 'light PAN, depthwise 5 x 5 kernels'),
}


def make_neck(backbone: PyramidBackbone, config: DetectorConfig) -> PathAggregation | LayerNeck:
    """The neck that a config asks for, on the feature maps of a backbone.

    Raises:
        ValueError: The rows of a layer list do not fit the backbone.
    """
    scaling = config.depth_multiple, config.width_multiple, config.activation
    if isinstance(config.neck, LayerRows):
        return LayerNeck(config.neck, backbone.channels, backbone.strides, config.image_size, *scaling)
    return NECKS[config.neck].build(backbone.channels, *scaling)
