"""YOLOv5's own backbone in timm's registry: CSPDarknet v6, `cspdarknet_v6_n` to `_x`.

Blocks, classifier and feature extractor are timm's CspNet (Wang et al., "CSPNet", https://arxiv.org/abs/1911.11929),
set up as YOLOv5 v6.0 has them: a 6x6 stem of stride 2, then four stages, each a 3x3 convolution of stride 2 and a C3.
timm's own `cs3darknet_*` have other stems, depths and downsampling. timm computes the first two 1x1 convolutions of a
C3 as one: `conv_exp` concatenates the output channels of YOLOv5's cv1 (the bottlenecks' branch) and cv2.

YOLOv5's images are in 0..1 and not normalised. There are no ImageNet weights; `mbv3zoo convert` imports YOLOv5's.
"""

from functools import partial
from typing import Any

from timm.models import build_model_with_cfg, generate_default_cfgs, register_model
from timm.models.cspnet import CspModelCfg, CspNet, CspStagesCfg, CspStemCfg
from torch import nn

from mbv3zoo.config.scaling import scale_depth, scale_width

# Depth and width multiple.
SIZES = {'n': (0.33, 0.25), 's': (0.33, 0.50), 'm': (0.67, 0.75), 'l': (1.0, 1.0), 'x': (1.33, 1.25)}


def _gen_cspdarknet(size: str, pretrained: bool = False, **kwargs: Any) -> nn.Module:
    depth_multiple, width_multiple = SIZES[size]
    stages = CspStagesCfg(
        depth=tuple(scale_depth(depth, depth_multiple) for depth in (3, 6, 9, 3)),
        out_chs=tuple(scale_width(channels, width_multiple) for channels in (128, 256, 512, 1024)),
        stride=2,
        block_ratio=0.5,
        stage_type='cs3',
        block_type='dark',
        down_growth=True,
    )
    config = CspModelCfg(
        stem=CspStemCfg(out_chs=scale_width(64, width_multiple), stride=2, kernel_size=6, padding=2),
        stages=stages,
        act_layer='silu',
        # As in the rest of YOLOv5.
        norm_layer=partial(nn.BatchNorm2d, eps=1e-3, momentum=0.03),  # type: ignore[arg-type]  # timm takes layers too
    )
    out_indices = kwargs.pop('out_indices', (1, 2, 3, 4))
    return build_model_with_cfg(
        CspNet,
        f'cspdarknet_v6_{size}',
        pretrained,
        model_cfg=config,
        feature_cfg={'flatten_sequential': True, 'out_indices': out_indices},
        **kwargs,
    )


# Must stand above the entrypoints: register_model reads it when it decorates them.
default_cfgs = generate_default_cfgs(
    {
        f'cspdarknet_v6_{size}.untrained': {
            'input_size': (3, 640, 640),
            'mean': (0.0, 0.0, 0.0),
            'std': (1.0, 1.0, 1.0),
            'num_classes': 1000,
            'first_conv': 'stem.conv1.conv',
            'classifier': 'head.fc',
        }
        for size in SIZES
    }
)


@register_model
def cspdarknet_v6_n(pretrained: bool = False, **kwargs: Any) -> nn.Module:
    """YOLOv5n's backbone. Feature maps: 32, 64, 128, 256 channels at strides 4, 8, 16, 32."""
    return _gen_cspdarknet('n', pretrained, **kwargs)


@register_model
def cspdarknet_v6_s(pretrained: bool = False, **kwargs: Any) -> nn.Module:
    """YOLOv5s's backbone. Feature maps: 64, 128, 256, 512 channels at strides 4, 8, 16, 32."""
    return _gen_cspdarknet('s', pretrained, **kwargs)


@register_model
def cspdarknet_v6_m(pretrained: bool = False, **kwargs: Any) -> nn.Module:
    """YOLOv5m's backbone. Feature maps: 96, 192, 384, 768 channels at strides 4, 8, 16, 32."""
    return _gen_cspdarknet('m', pretrained, **kwargs)


@register_model
def cspdarknet_v6_l(pretrained: bool = False, **kwargs: Any) -> nn.Module:
    """YOLOv5l's backbone. Feature maps: 128, 256, 512, 1024 channels at strides 4, 8, 16, 32."""
    return _gen_cspdarknet('l', pretrained, **kwargs)


@register_model
def cspdarknet_v6_x(pretrained: bool = False, **kwargs: Any) -> nn.Module:
    """YOLOv5x's backbone. Feature maps: 160, 320, 640, 1280 channels at strides 4, 8, 16, 32."""
    return _gen_cspdarknet('x', pretrained, **kwargs)
