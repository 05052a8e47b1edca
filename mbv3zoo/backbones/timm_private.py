"""Every name that is private to timm and used here, in one place: what a new release of timm may move."""

from timm.models._efficientnet_blocks import SqueezeExcite
from timm.models._efficientnet_builder import (
    BN_EPS_TF_DEFAULT,
    decode_arch_def,
    resolve_act_layer,
    resolve_bn_args,
    round_channels,
)
from timm.models._features import FeatureGetterNet, feature_take_indices
from timm.models.mobilenetv3 import _create_mnv3 as create_mobilenetv3

__all__ = [
    'BN_EPS_TF_DEFAULT',
    'FeatureGetterNet',
    'SqueezeExcite',
    'create_mobilenetv3',
    'decode_arch_def',
    'feature_take_indices',
    'resolve_act_layer',
    'resolve_bn_args',
    'round_channels',
]
