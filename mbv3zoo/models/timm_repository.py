"""A backbone as stock timm knows it: its architecture, the names of its tensors, the record of its weights."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any
from weakref import WeakKeyDictionary

import timm
import torch
from timm.layers import to_2tuple

from mbv3zoo.config.model import ModelConfig
from mbv3zoo.licenses import weights_license
from mbv3zoo.models.layer_groups import whole_model
from mbv3zoo.models.pyramid import PyramidBackbone
from mbv3zoo.models.timm_model import check_name
from mbv3zoo.utils.tensors import match_names

# Our names for networks that timm has as well. The exact_se variants have no equal in timm.
_STOCK = {
    'mbv3_yolo': 'mobilenetv3_large_100',
    'mbv3_yolo_large': 'mobilenetv3_large_100',
    'mbv3_yolo_small': 'mobilenetv3_small_100',
    'mbv3_yolo_large_075': 'tf_mobilenetv3_large_075',
    'mbv3_yolo_small_075': 'mobilenetv3_small_075',
    'mbv3_yolo_small_050': 'mobilenetv3_small_050',
    'mbv3_yolo_large_minimal': 'tf_mobilenetv3_large_minimal_100',
    'mbv3_yolo_small_minimal': 'tf_mobilenetv3_small_minimal_100',
}
# True of one build, or chosen by whoever builds it.
_NOT_RECORDED = ('in_chans', 'feature_cls', 'cache_dir', 'checkpoint_path', 'device', 'dtype', 'pretrained_cfg')
# Kept, as timm's whole model is built to find them, and a training saves the same backbone each epoch.
_names: WeakKeyDictionary[PyramidBackbone, dict[str, str]] = WeakKeyDictionary()


def stock_architecture(name: str, arguments: Mapping[str, Any] = MappingProxyType({})) -> str | None:
    """timm's own name for a backbone's network; None where only another package has it.

    Args:
        name: A timm model name, with or without a tag.
        arguments: Those that it is built with.
    """
    architecture = name.split('.')[0]
    if architecture in _STOCK and (not arguments.get('last_expansion', True) or arguments.get('torchvision')):
        return None
    architecture = _STOCK.get(architecture, architecture)
    return architecture if timm.models.model_entrypoint(architecture).__module__.startswith('timm.') else None


def timm_config(backbone: PyramidBackbone, config: ModelConfig) -> dict[str, Any]:
    """What timm reads of a repository's config.json to build the backbone and to load model.safetensors into it.

    Args:
        backbone: The detector's backbone.
        config: The detector's config, with mean and std.

    Returns:
        `architecture`, `num_classes`, `model_args` and `pretrained_cfg`, as `timm.models.push_to_hf_hub` writes them.
    """
    record = check_name(config.backbone).to_dict(remove_source=True, remove_null=True)
    for key in ('architecture', 'tag', 'label_names', 'label_descriptions', 'label_offset', 'custom_load', 'pool_size'):
        record.pop(key, None)
    arguments = {k: v for k, v in backbone.build_args.items() if not k.startswith(_NOT_RECORDED)}
    if config.in_chans != 3:
        arguments['in_chans'] = config.in_chans
    # timm loads weights without a classifier only where the record has one, of another number of classes.
    record |= {'num_classes': record.get('num_classes') or 1, 'classifier': record.get('classifier') or 'head'}
    size = to_2tuple(arguments.get('img_size') or config.image_size)
    record['license'] = weights_license(config.licenses)
    record |= {'input_size': (config.in_chans, *size), 'mean': config.mean, 'std': config.std}
    return {
        'architecture': stock_architecture(config.backbone, config.backbone_args) or config.backbone.split('.')[0],
        'num_classes': record['num_classes'],
        'model_args': arguments,
        'pretrained_cfg': record,
    }


def stock_names(backbone: PyramidBackbone) -> dict[str, str]:
    """Name of each tensor of `backbone` -> its name in timm's whole model; those that it does not have are left out."""
    if backbone not in _names:
        with torch.random.fork_rng(devices=[]):
            whole = whole_model(backbone.name, backbone.build_args).state_dict()
        names = match_names(backbone.model.state_dict(), whole)
        _names[backbone] = {f'model.{name}': stock for name, stock in names.items() if stock is not None}
    return _names[backbone]
