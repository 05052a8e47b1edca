"""MobileNetV3 backbones in timm's registry: `mbv3_yolo*`.

Howard et al., "Searching for MobileNetV3", https://arxiv.org/abs/1905.02244 (tables 1 and 2).

The blocks, the classifier and the feature extractor are timm's own, so a state dict of timm's
`mobilenetv3_*` fits the model of the same size here and gives the same numbers. What differs from timm:

- `features_only=True` returns the four feature maps a detector uses, strides 4, 8, 16, 32 (timm: five, from 2).
- `*_exact_se`: squeeze channels are exactly expansion // 4, as in many YOLOv5 forks. timm, torchvision and the
  authors' TensorFlow code round them to a multiple of 8.
- `last_expansion=False` leaves out the last 1x1 convolution (160 -> 960 channels, or 96 -> 576), which a classifier
  needs and a detector may omit. Weights of the whole network fit.
- Weights come from the Hugging Face Hub only.

The file is not called mobilenetv3.py because timm groups models by the last part of the module's name.
"""

import re
from dataclasses import replace
from functools import partial
from typing import Any

import timm
from timm.models import PretrainedCfg, generate_default_cfgs, register_model
from timm.models.mobilenetv3 import MobileNetV3, MobileNetV3Features
from torch import nn

from mbv3zoo.backbones.timm_private import (
    BN_EPS_TF_DEFAULT,
    SqueezeExcite,
    create_mobilenetv3,
    decode_arch_def,
    resolve_act_layer,
    resolve_bn_args,
    round_channels,
)

ArchDef = list[list[str]]

# timm's arch strings: block type, r = repeats, k = kernel, s = stride, e = expansion ratio, c = output
# channels, se = squeeze ratio, nre = ReLU instead of the network's hard-swish. One list per stage.
_LARGE: ArchDef = [
    ['ds_r1_k3_s1_e1_c16_nre'],
    ['ir_r1_k3_s2_e4_c24_nre', 'ir_r1_k3_s1_e3_c24_nre'],
    ['ir_r3_k5_s2_e3_c40_se0.25_nre'],
    ['ir_r1_k3_s2_e6_c80', 'ir_r1_k3_s1_e2.5_c80', 'ir_r2_k3_s1_e2.3_c80'],
    ['ir_r2_k3_s1_e6_c112_se0.25'],
    ['ir_r3_k5_s2_e6_c160_se0.25'],
    ['cn_r1_k1_s1_c960'],
]
# The stage of stride 8 of the large network, to be divided.
_STRIDE_8 = 'ir_r{}_k5_s{}_e3_c40_se0.25_nre'
_SMALL: ArchDef = [
    ['ds_r1_k3_s2_e1_c16_se0.25_nre'],
    ['ir_r1_k3_s2_e4.5_c24_nre', 'ir_r1_k3_s1_e3.67_c24_nre'],
    ['ir_r1_k5_s2_e4_c40_se0.25', 'ir_r2_k5_s1_e6_c40_se0.25'],
    ['ir_r2_k5_s1_e3_c48_se0.25'],
    ['ir_r3_k5_s2_e6_c96_se0.25'],
    ['cn_r1_k1_s1_c576'],
]

# Indices into the feature maps of strides 2, 4, 8, 16, 32; detectors here do not use stride 2.
_DETECTOR_LEVELS = (1, 2, 3, 4)


def _minimal(arch_def: ArchDef) -> ArchDef:
    """The table without squeeze-excite, without hard-swish and without 5x5 kernels.

    The rows' own activations are removed too, so the whole network has the one it is built with, ReLU by default.
    """
    return [[re.sub(r'_se[\d.]+|_nre', '', row).replace('_k5', '_k3') for row in stage] for stage in arch_def]


def _gen_mbv3(
    variant: str,
    channel_multiplier: float = 1.0,
    depth_multiplier: float = 1.0,
    group_size: int | None = None,
    pretrained: bool = False,
    last_expansion: bool = True,
    torchvision: bool = False,
    **kwargs: Any,
) -> MobileNetV3 | MobileNetV3Features:
    """Build any variant of this file; the words 'small', 'minimal' and 'exact_se' in `variant` select the table.

    As timm's `_gen_mobilenet_v3`, but with another squeeze-excite layer for `exact_se`.

    Args:
        variant: registered name of the model, under which timm finds the pretrained cfg.
        channel_multiplier: width of every layer relative to the paper's table.
        depth_multiplier: blocks per stage relative to the table, rounded up.
        group_size: channels per group in the pointwise convs; None for ungrouped ones.
        pretrained: load the weights of the variant's pretrained cfg.
        last_expansion: whether the last stage ends in its 1x1 convolution to six times the channels.
        torchvision: be the large network as torchvision's segmenter uses it: the map of stride 8 is that of the first
            block there, and a stage that `output_stride` dilates is dilated from its first block on (timm: behind it).
        **kwargs: arguments of timm's MobileNetV3 or, with `features_only`, MobileNetV3Features.

    Returns:
        The classifier, or with `features_only=True` the feature extractor.
    """
    small, minimal, exact_se = (word in variant for word in ('small', 'minimal', 'exact_se'))
    arch_def = _SMALL if small else _LARGE
    if minimal:
        arch_def = _minimal(arch_def)
    if torchvision:
        arch_def = [*arch_def[:2], [_STRIDE_8.format(1, 2)], [_STRIDE_8.format(2, 1)], *arch_def[3:]]
    if not last_expansion:
        arch_def = arch_def[:-1]
    if kwargs.get('features_only') and 'out_indices' not in (kwargs.get('feature_cfg') or {}):
        kwargs.setdefault('out_indices', _DETECTOR_LEVELS)
    model = create_mobilenetv3(
        variant,
        pretrained,
        block_args=decode_arch_def(arch_def, depth_multiplier=depth_multiplier, group_size=group_size),
        num_features=1024 if small else 1280,
        stem_size=16,
        fix_stem=channel_multiplier < 0.75,
        round_chs_fn=partial(round_channels, multiplier=channel_multiplier),
        # Both resolve_* calls take their own keys out of kwargs, so they must stand before **kwargs.
        norm_layer=partial(nn.BatchNorm2d, **resolve_bn_args(kwargs)),
        act_layer=resolve_act_layer(kwargs, 'relu' if minimal else 'hard_swish'),
        se_layer=partial(
            SqueezeExcite,
            gate_layer='hard_sigmoid',
            force_act_layer=nn.ReLU,
            rd_round_fn=int if exact_se else round_channels,  # int() floors: in_channels * 0.25 is positive
        ),
        **kwargs,
    )
    if torchvision:
        _tap_and_dilate(model)
    return model


def _tap_and_dilate(model: Any) -> None:
    """Gives a network whose stage of stride 8 is two the feature map of the first, and dilates as torchvision does."""
    info = model.feature_info
    for row in getattr(info, 'info', info):
        if row['module'] == 'blocks.3':
            row.update(stage=3, module='blocks.2')
    if isinstance(model, MobileNetV3Features):
        model._stage_out_idx = {row['stage']: row['index'] for row in info.get_dicts()}
    for first, second, *_ in (stage for stage in model.blocks[3:] if len(stage) > 1):
        if first.conv_dw.stride == (1, 1):
            dilation = first.conv_dw.dilation = second.conv_dw.dilation
            first.conv_dw.padding = tuple(
                size // 2 * d for size, d in zip(first.conv_dw.kernel_size, dilation, strict=True)
            )


def _tf_defaults(kwargs: dict[str, Any]) -> dict[str, Any]:
    """Defaults that weights converted from TensorFlow were trained with."""
    return {'bn_eps': BN_EPS_TF_DEFAULT, 'pad_type': 'same', **kwargs}


def _cfg(timm_name: str) -> PretrainedCfg:
    """timm's own pretrained cfg, so that mean, std, crop, classes, licence and origin are the same.

    Without the `.pth` url, as weights come as safetensors from the Hub. timm fills in architecture and tag when the
    model is registered.
    """
    record = timm.get_pretrained_cfg(timm_name)
    assert record is not None
    return replace(record, url=None, architecture=None, tag=None)


# Must stand above the entrypoints: register_model reads it when it decorates them.
default_cfgs = generate_default_cfgs(
    {
        **{
            f'{name}.{tag}': _cfg(f'mobilenetv3_large_100.{tag}')
            for name in ('mbv3_yolo', 'mbv3_yolo_large')
            # The first tag is the default.
            for tag in ('ra4_e3600_r224_in1k', 'ra_in1k', 'miil_in21k_ft_in1k', 'miil_in21k')
        },
        'mbv3_yolo_small.lamb_in1k': _cfg('mobilenetv3_small_100.lamb_in1k'),
        'mbv3_yolo_large_075.tf_in1k': _cfg('tf_mobilenetv3_large_075.in1k'),
        'mbv3_yolo_small_075.lamb_in1k': _cfg('mobilenetv3_small_075.lamb_in1k'),
        'mbv3_yolo_small_050.lamb_in1k': _cfg('mobilenetv3_small_050.lamb_in1k'),
        'mbv3_yolo_large_minimal.tf_in1k': _cfg('tf_mobilenetv3_large_minimal_100.in1k'),
        'mbv3_yolo_small_minimal.tf_in1k': _cfg('tf_mobilenetv3_small_minimal_100.in1k'),
        # timm's only record of a MobileNetV3 without weights.
        'mbv3_yolo_large_exact_se.untrained': _cfg('mobilenetv3_large_075.untrained'),
        'mbv3_yolo_small_exact_se.untrained': _cfg('mobilenetv3_large_075.untrained'),
    }
)


@register_model
def mbv3_yolo(pretrained: bool = False, **kwargs: Any) -> MobileNetV3 | MobileNetV3Features:
    """MobileNetV3-Large 1.0, the default backbone; the same network as `mbv3_yolo_large`.

    Feature maps: 24, 40, 112, 960 channels at strides 4, 8, 16, 32.
    """
    return _gen_mbv3('mbv3_yolo', 1.0, pretrained=pretrained, **kwargs)


@register_model
def mbv3_yolo_large(pretrained: bool = False, **kwargs: Any) -> MobileNetV3 | MobileNetV3Features:
    """MobileNetV3-Large 1.0 (paper, table 1).

    Feature maps: 24, 40, 112, 960 channels at strides 4, 8, 16, 32.
    """
    return _gen_mbv3('mbv3_yolo_large', 1.0, pretrained=pretrained, **kwargs)


@register_model
def mbv3_yolo_small(pretrained: bool = False, **kwargs: Any) -> MobileNetV3 | MobileNetV3Features:
    """MobileNetV3-Small 1.0 (paper, table 2).

    Feature maps: 16, 24, 48, 576 channels at strides 4, 8, 16, 32.
    """
    return _gen_mbv3('mbv3_yolo_small', 1.0, pretrained=pretrained, **kwargs)


@register_model
def mbv3_yolo_large_075(pretrained: bool = False, **kwargs: Any) -> MobileNetV3 | MobileNetV3Features:
    """MobileNetV3-Large at three quarters of the width.

    The weights come from TensorFlow, so `pad_type='same'` and `bn_eps=1e-3` are the defaults; SAME padding
    costs operations in an exported graph, which `pad_type=''` avoids (docs/same_padding.md).
    """
    return _gen_mbv3('mbv3_yolo_large_075', 0.75, pretrained=pretrained, **_tf_defaults(kwargs))


@register_model
def mbv3_yolo_small_075(pretrained: bool = False, **kwargs: Any) -> MobileNetV3 | MobileNetV3Features:
    """MobileNetV3-Small at three quarters of the width."""
    return _gen_mbv3('mbv3_yolo_small_075', 0.75, pretrained=pretrained, **kwargs)


@register_model
def mbv3_yolo_small_050(pretrained: bool = False, **kwargs: Any) -> MobileNetV3 | MobileNetV3Features:
    """MobileNetV3-Small at half the width; the stem keeps its 16 channels."""
    return _gen_mbv3('mbv3_yolo_small_050', 0.50, pretrained=pretrained, **kwargs)


@register_model
def mbv3_yolo_large_minimal(pretrained: bool = False, **kwargs: Any) -> MobileNetV3 | MobileNetV3Features:
    """MobileNetV3-Large "minimalistic": no squeeze-excite, no hard-swish, no 5x5 kernels.

    Only convs, batch norm, ReLU and additions are left, which quantise well and run on any accelerator.
    Defaults for weights from TensorFlow as in `mbv3_yolo_large_075`.
    """
    return _gen_mbv3('mbv3_yolo_large_minimal', 1.0, pretrained=pretrained, **_tf_defaults(kwargs))


@register_model
def mbv3_yolo_small_minimal(pretrained: bool = False, **kwargs: Any) -> MobileNetV3 | MobileNetV3Features:
    """MobileNetV3-Small "minimalistic": no squeeze-excite, no hard-swish, no 5x5 kernels.

    Only convs, batch norm, ReLU and additions are left, which quantise well and run on any accelerator.
    Defaults for weights from TensorFlow as in `mbv3_yolo_large_075`.
    """
    return _gen_mbv3('mbv3_yolo_small_minimal', 1.0, pretrained=pretrained, **_tf_defaults(kwargs))


@register_model
def mbv3_yolo_large_exact_se(pretrained: bool = False, **kwargs: Any) -> MobileNetV3 | MobileNetV3Features:
    """MobileNetV3-Large 1.0 whose squeeze channels are exactly expansion // 4 (72 -> 18, 120 -> 30, ...).

    For checkpoints of YOLOv5 forks that have it so; there are no ImageNet weights.
    """
    return _gen_mbv3('mbv3_yolo_large_exact_se', 1.0, pretrained=pretrained, **kwargs)


@register_model
def mbv3_yolo_small_exact_se(pretrained: bool = False, **kwargs: Any) -> MobileNetV3 | MobileNetV3Features:
    """MobileNetV3-Small 1.0 whose squeeze channels are exactly expansion // 4 (16 -> 4, 240 -> 60, ...).

    For checkpoints of YOLOv5 forks that have it so; there are no ImageNet weights.
    """
    return _gen_mbv3('mbv3_yolo_small_exact_se', 1.0, pretrained=pretrained, **kwargs)
