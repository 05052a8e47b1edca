"""Any timm model as the source of C3, C4, C5."""

from __future__ import annotations

import difflib
from typing import Any

import timm
import torch
from timm.models import PretrainedCfg, is_model
from torch import nn

import mbv3zoo.backbones  # noqa: F401  registers our own models with timm
from mbv3zoo.config import STRIDES, DetectorConfig


class PyramidBackbone(nn.Module):
    """A timm model's feature maps at strides 8, 16 and 32, channels first.

    Args:
        name: A timm model name, with or without a tag.
        image_size: (height, width) in pixels, for families that are built for one size.
        pretrained: Load the weights of the name's (default) tag.
        in_chans: Channels of the input.
        **kwargs: Further arguments of `timm.create_model`.

    Attributes:
        channels: Channels of C3, C4, C5.
        mean, std: What the backbone's weights expect to be normalised with, for pictures in 0..1.

    Raises:
        ValueError: timm does not know the name or one of `kwargs`, or the model lacks one of the strides.
    """

    def __init__(
        self,
        name: str,
        image_size: tuple[int, int],
        pretrained: bool = False,
        in_chans: int = 3,
        **kwargs: Any,
    ) -> None:
        super().__init__()
        record = check_name(name)
        if record and record.fixed_input_size:
            kwargs.setdefault('img_size', image_size)
        if ours := sorted({'features_only', 'out_indices'} & kwargs.keys()):
            raise ValueError(f'{", ".join(ours)}: not to be set, a detector always takes strides {list(STRIDES)}')
        # The strides are read off a model without storage: no weights, no forward pass.
        try:
            plan = timm.create_model(name, features_only=True, in_chans=in_chans, **{**kwargs, 'device': 'meta'})
        except (TypeError, AssertionError) as error:  # timm's families check their arguments by assert
            near = [difflib.get_close_matches(key, DetectorConfig.model_fields, n=1) for key in kwargs]
            hint = ''.join(f'; did you mean {match[0]!r}?' for match in near if match)
            raise ValueError(f'backbone {name!r} cannot be built with {kwargs}: {error}{hint}') from error
        reductions = [info['reduction'] for info in plan.feature_info.info]
        if not set(STRIDES) <= set(reductions):
            raise ValueError(
                f'backbone {name!r} has feature maps at strides {reductions}, expected {list(STRIDES)} among them; '
                f'choose a model with a pyramid of features, such as resnet18 or mbv3_yolo_small'
            )
        out_indices = [len(reductions) - 1 - reductions[::-1].index(stride) for stride in STRIDES]
        self.model = timm.create_model(
            name, features_only=True, pretrained=pretrained, in_chans=in_chans, out_indices=out_indices, **kwargs
        )
        self.channels: list[int] = self.model.feature_info.channels()
        self.channels_last = str(getattr(self.model, 'output_fmt', 'NCHW')).endswith('NHWC')
        self.mean: tuple[float, ...] = tuple(plan.pretrained_cfg['mean'])
        self.std: tuple[float, ...] = tuple(plan.pretrained_cfg['std'])

    def forward(self, images: torch.Tensor) -> list[torch.Tensor]:
        """[B, C, H, W] -> C3, C4, C5: [B, channels, H / stride, W / stride]."""
        features = self.model(images)
        return [x.permute(0, 3, 1, 2).contiguous() for x in features] if self.channels_last else features


def check_name(name: str) -> PretrainedCfg | None:
    """timm's record of a model; ValueError, with the nearest names, where it knows no such model or no such tag."""
    architecture = name.split('.')[0]
    if not is_model(architecture):
        near = difflib.get_close_matches(architecture, timm.list_models(), n=3, cutoff=0.5)
        hint = f'did you mean {", ".join(near)}?' if near else 'timm.list_models() names all.'
        raise ValueError(f'unknown backbone {name!r}: timm has no such model; {hint}')
    try:
        return timm.get_pretrained_cfg(name)
    except RuntimeError as error:
        tags = ', '.join(timm.list_pretrained(architecture)) or 'none'
        raise ValueError(f'unknown tag in the backbone {name!r}; timm has {tags}') from error
