"""Any convolutional timm model with other numbers of channels, as a timm model: `narrowed`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import timm
import torch
from timm.models import (
    generate_default_cfgs,
    is_model,
    load_pretrained,
    register_model,
    resolve_pretrained_cfg,
)
from torch import nn

from mbv3zoo.widths import DEFAULT_BASE

_SIZE = (64, 64)
_OVERLAY = 'pretrained_cfg_overlay'

# Must stand above the entrypoint: register_model reads it when it decorates it.
default_cfgs = generate_default_cfgs({'narrowed.untrained': {'input_size': (3, 224, 224)}})


@register_model
def narrowed(
    pretrained: bool = False, base: str = DEFAULT_BASE, widths: Mapping[str, int] | None = None, **kwargs: Any
) -> nn.Module:
    """A timm model some of whose layers have fewer channels.

    Args:
        pretrained: Load the weights that `pretrained_cfg` names, which is what
            `timm.create_model('local-dir:FOLDER', pretrained=True)` does for a saved detector. There are no others.
        base: Name of the timm model.
        widths: Name of a layer -> its number of channels. Layers that depend on it follow. 0 of a layer in a residual
            block leaves the block out.
        **kwargs: Arguments of `timm.create_model` for the base.

    Raises:
        ValueError: There is no such base, layer or width, or no weights are named.

    Example:
        >>> widths = {'blocks.2.0.conv_pwl': 32, 'blocks.3.0.conv_pw': 160}
        >>> model = timm.create_model('narrowed', base='mbv3_yolo_large', widths=widths, features_only=True)
        >>> model.feature_info.channels()
        [24, 32, 112, 960]
    """
    record = resolve_pretrained_cfg('narrowed', kwargs.pop('pretrained_cfg', None), kwargs.pop(_OVERLAY, None))
    if pretrained and not record.has_weights:
        raise ValueError(f'a narrowed {base} has no weights to load; expected pretrained=False')
    # Not 'hf-hub:...': a config, which may be anybody's, names the base, and timm would ask the network for that.
    if not is_model(base):
        raise ValueError(f'unknown base {base!r}: timm has no such model; timm.list_models() names all')
    model = _narrow(base, widths or {}, kwargs)
    if record.has_weights:
        model.pretrained_cfg = model.default_cfg = record.to_dict()
    if pretrained:
        load_pretrained(
            model,
            record.to_dict(),
            num_classes=getattr(model, 'num_classes', 0),
            in_chans=kwargs.get('in_chans', 3),
            filter_fn=_with_names_of,
        )
    return model


def _narrow(base: str, widths: Mapping[str, int], kwargs: dict[str, Any]) -> Any:
    # Here, as importing the backbones is to load little.
    from mbv3zoo.widths.named import groups_of, set_widths

    model: Any = timm.create_model(base, **kwargs)
    in_chans = kwargs.get('in_chans', 3)
    if not kwargs.get('features_only'):
        set_widths(model, groups_of(model, in_chans), widths)
        return model
    # Of all maps, as other models know what they have also of maps that are not taken.
    args = kwargs | {'out_indices': tuple(range(len(model.feature_info.info)))}
    with torch.device('meta'):
        whole = timm.create_model(base, **args).eval()
    built_from = json.dumps([base, {**args, 'device': None}], sort_keys=True, default=repr)
    groups = groups_of(whole, in_chans, outputs_stay=False, architecture=built_from)
    for narrower in (model, whole):
        set_widths(narrower, groups, widths)
    maps = whole(torch.empty(1, in_chans, *_SIZE, device='meta'))
    for info, found in zip(model.feature_info.info, maps, strict=True):
        info['num_chs'] = found.shape[1]
    return model


def _with_names_of(weights: dict[str, torch.Tensor], model: nn.Module) -> dict[str, torch.Tensor]:
    """The weights of a whole model, by the names that a feature extractor's tensors have."""
    from mbv3zoo.utils.tensors import match_names

    names = match_names(model.state_dict(), weights)
    return {name: weights[stock] for name, stock in names.items() if stock is not None}
