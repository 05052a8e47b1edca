"""What a detector needs to know of a timm model before it is built: name, sizes, feature maps."""

from __future__ import annotations

import difflib
import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Any, NamedTuple

import timm
import torch
from timm.models import FeatureHookNet, PretrainedCfg, is_model
from torch import nn

import mbv3zoo.backbones  # noqa: F401  registers our own models with timm
from mbv3zoo.backbones.timm_private import FeatureGetterNet
from mbv3zoo.config.detector import STRIDES, DetectorConfig
from mbv3zoo.models.levels import Level, Route, choose_levels
from mbv3zoo.utils.text import nearest

# Arguments that make a model of one fixed image size take others as well, in the order they are tried.
_FLEXIBLE = ({'dynamic_img_size': True}, {'strict_img_size': False})


class Plan(NamedTuple):
    """What is known of a timm model before it is built, read from a copy on the meta device.

    Attributes:
        reductions: Stride of each feature map, in input pixels per cell.
        channels: Channels of each feature map.
        route, levels: How the feature maps become C3, C4, C5; see `choose_levels`.
        unit: The model's input is resized to multiples of this, so that its feature maps, and levels downsampled from
            them, cover the whole image.
        build_args: Arguments of `timm.create_model` to build it with, without `out_indices`.
        bound: Whether the model takes only the image size it is built for, as far as timm says.
        mean, std: What the weights expect images in 0..1 to be normalised with.
    """

    reductions: list[Fraction]
    channels: list[int]
    route: Route
    levels: list[Level]
    unit: int
    build_args: dict[str, Any]
    bound: bool
    mean: tuple[float, ...]
    std: tuple[float, ...]


def make_plan(
    name: str,
    image_size: tuple[int, int],
    in_chans: int = 3,
    map_strides: Sequence[int] | None = STRIDES,
    **kwargs: Any,
) -> Plan:
    """Plans a timm model as a source of feature maps for images of `image_size`.

    Args:
        name: A timm model name, with or without a tag.
        image_size: (height, width) in pixels.
        in_chans: Channels of the image.
        map_strides: Strides of the feature maps that are wanted; None for all that the model has.
        **kwargs: Further arguments of `timm.create_model`.

    Raises:
        ValueError: timm does not know the name or one of `kwargs`.
    """
    record = check_name(name)
    if ours := sorted({'features_only', 'out_indices', 'feature_cls'} & kwargs.keys()):
        raise ValueError(f'{", ".join(ours)}: not to be set, a detector chooses the maps itself')
    fixed = record.fixed_input_size
    asked = {'dynamic_img_size', 'strict_img_size'} & kwargs.keys()
    model, flexible = _build_meta(name, in_chans, kwargs, fixed and not asked)
    described: Any = getattr(model, 'feature_info', None)
    if described is None:
        raise ValueError(
            f'backbone {name!r} has no feature maps: built with features_only=True it is a {type(model).__name__} '
            f'without feature_info, which timm.models.build_model_with_cfg would give it'
        )
    weights = getattr(model, 'pretrained_cfg', None) or PretrainedCfg().to_dict()
    own_size = weights['input_size'][1:] if fixed else None
    reductions = _exact_reductions([info['reduction'] for info in described.info], own_size)
    route, levels = choose_levels(reductions, map_strides)
    unit = _unit(reductions, levels)

    build_args = {'in_chans': in_chans, **flexible, **_adjustments(model), **kwargs}
    if fixed:
        build_args.setdefault('img_size', seen_size(image_size, unit))
    return Plan(
        reductions=reductions,
        channels=[info['num_chs'] for info in described.info],
        route=route,
        levels=levels,
        unit=unit,
        build_args=build_args,
        bound=fixed and not (build_args.get('dynamic_img_size') or build_args.get('strict_img_size') is False),
        mean=tuple(weights['mean']),
        std=tuple(weights['std']),
    )


def seen_size(image_size: tuple[int, int], unit: int) -> tuple[int, int]:
    """The multiples of `unit` nearest to an image's height and width: the size that the model gets."""
    # In integers, so that torch.export can trace it with dynamic sizes.
    height, width = (max((2 * side + unit) // (2 * unit), 1) * unit for side in image_size)
    return height, width


def default_image_size(name: str) -> tuple[int, int]:
    """(height, width) in pixels that a detector on this backbone is built for unless told otherwise.

    640 x 640, except for a model with a fixed or minimum size: the size it was trained at (its weights may fit no
    other), rounded to multiples of 32.
    """
    default = DetectorConfig.model_fields['image_size'].default
    record = check_name(name)
    if not (record.fixed_input_size or record.min_input_size):
        return default
    if not record.min_input_size and not make_plan(name, default).bound:
        return default
    return seen_size(record.input_size[1:], STRIDES[-1])


def create_on_meta(name: str, **kwargs: Any) -> nn.Module:
    """`timm.create_model` on the meta device, also for models whose constructor takes no `device`."""
    try:
        return timm.create_model(name, **{**kwargs, 'device': 'meta'})
    except TypeError as error:
        if "'device'" not in str(error):
            raise
    with torch.device('meta'):
        return timm.create_model(name, **{key: value for key, value in kwargs.items() if key != 'device'})


def check_name(name: str) -> PretrainedCfg:
    """timm's pretrained_cfg of a model, or an empty one if another package registered the model without one.

    Raises:
        ValueError: Unknown model or tag; the closest names are listed.
    """
    architecture = name.split('.')[0]
    if not is_model(architecture):
        hint = nearest(architecture, timm.list_models(), 'timm.list_models() names all.')
        raise ValueError(f'unknown backbone {name!r}: timm has no such model; {hint}')
    try:
        return timm.get_pretrained_cfg(name) or PretrainedCfg()
    except RuntimeError as error:
        tags = ', '.join(timm.list_pretrained(architecture)) or 'none'
        raise ValueError(f'unknown tag in the backbone {name!r}; timm has {tags}') from error


def _build_meta(name: str, in_chans: int, kwargs: dict[str, Any], fixed: bool) -> tuple[nn.Module, dict[str, Any]]:
    """The model on the meta device, at its own size; and which of `_FLEXIBLE` it takes."""
    args = {key: value for key, value in kwargs.items() if key != 'checkpoint_path'}
    for flexible in (*_FLEXIBLE, {}) if fixed else ({},):
        try:
            # Any one index: feature_info describes all, and not every model has as many as timm's default.
            model = create_on_meta(name, features_only=True, out_indices=(-1,), in_chans=in_chans, **args, **flexible)
            return model, flexible
        # timm's models check arguments by assert, and look names up in tables.
        except (TypeError, AssertionError, RuntimeError, KeyError, AttributeError) as error:
            if not any(key in str(error) for key in flexible):
                near = [difflib.get_close_matches(key, DetectorConfig.model_fields, n=1) for key in kwargs]
                hint = ''.join(f'; did you mean {match[0]!r}?' for match in near if match)
                reason = str(error) or type(error).__name__
                shown = {key: value for key, value in kwargs.items() if not key.startswith('pretrained_cfg')}
                raise ValueError(f'backbone {name!r} cannot be built with {shown}: {reason}{hint}') from error
    raise AssertionError('the last attempt either returns or raises')


def _exact_reductions(reductions: list[int], own_size: tuple[int, int] | None) -> list[Fraction]:
    # timm rounds reductions to integers. CrossViT's second branch works on a smaller copy of the image, with a stride
    # of 240 / 14; at the size such a model was trained at, its feature maps have whole sides. The patches of a plain
    # transformer may leave a margin at its own size (14 in 384), but its one reduction is an integer.
    if own_size is None or len(set(reductions)) == 1:
        return [Fraction(r) for r in reductions]
    powers = [r & (r - 1) == 0 for r in reductions]
    return [
        Fraction(r) if power else Fraction(own_size[0], round(own_size[0] / r))
        for r, power in zip(reductions, powers, strict=True)
    ]


def _unit(reductions: list[Fraction], levels: list[Level]) -> int:
    # Images are multiples of 32, and so of every power of two up to C5's stride; other reductions need a multiple.
    cells = {reductions[level.map_index] * 2 ** max(-level.doublings, 0) for level in levels}
    return math.lcm(
        *(cell.numerator for cell in cells if cell.denominator > 1 or cell.numerator & (cell.numerator - 1))
    )


def _adjustments(model: nn.Module) -> dict[str, Any]:
    """Arguments that some of timm's models need to be a backbone."""
    # Hooks leave the layers after the last feature map in the model, and torch.export does not follow them.
    if isinstance(model, FeatureHookNet) and hasattr(getattr(model, 'body', None), 'forward_intermediates'):
        return {'feature_cls': 'getter'}
    # Gemma 4 refuses images that its pooling, which no feature map needs, cannot divide.
    if isinstance(model, FeatureGetterNet) and getattr(model.model, 'global_pool', None) == 'soft':
        return {'global_pool': 'none'}
    return {}
