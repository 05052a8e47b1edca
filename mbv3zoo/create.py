"""The ways to get a detector: by name, from a config, from any timm backbone, from what was saved."""

from __future__ import annotations

import difflib
import fnmatch
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import timm
from timm.models import is_model

from mbv3zoo.config.detector import DetectorConfig
from mbv3zoo.detector import Detector
from mbv3zoo.layer_lists.parse import SCALING
from mbv3zoo.licenses import check_allowed, fresh_record
from mbv3zoo.models.sizes import takes
from mbv3zoo.models.timm_model import default_image_size, make_plan
from mbv3zoo.models.weights import check_size, load_saved, stock_weights
from mbv3zoo.zoo import registry as zoo
from mbv3zoo.zoo.configs import is_config_file, load_config
from mbv3zoo.zoo.saved import BUILD_ARGS, HUB_ARGS, find_saved, read_saved
from mbv3zoo.zoo.timm_source import check_complete, checked_weights, is_timm_source, read_timm_source


def create_detector(
    name: str | Path | DetectorConfig,
    *,
    pretrained: bool = False,
    freeze_backbone: int = 0,
    freeze_norm: bool = False,
    grad_checkpointing: bool = False,
    allow_licenses: Iterable[str] | None = None,
    **settings: Any,
) -> Detector:
    """Builds a detector.

    Args:
        name: A packaged detector ('mbv3_yolo_small'), one with weights ('mbv3_yolo_small.synth'), any timm model
            ('resnet18', 'vit_tiny_patch16_224'; docs/backbones.md), a YAML file, a `DetectorConfig`, or what was saved:
            a folder or a Hub repository ('organisation/name'); or a backbone in a repository of timm's
            ('hf-hub:organisation/name', with '@revision' if need be, or 'local-dir:folder').
        pretrained: Load weights: the detector's where `name` is one with weights, else the backbone's.
        freeze_backbone: Freeze the backbone's stem and this many stages; see `DetectorNetwork.freeze_backbone`.
        freeze_norm: Freeze the backbone's BatchNorms; see `DetectorNetwork.freeze_norm`.
        grad_checkpointing: Train the backbone with less memory; see `DetectorNetwork.set_grad_checkpointing`.
        allow_licenses: Refuse weights that were made from something under another licence than these, as the Hub spells
            them; see `mbv3zoo.licenses`. None checks nothing.
        **settings: Fields of `DetectorConfig` (`num_classes`, `class_names`, `in_chans`, `image_size`, `anchors`,
            `depth_multiple`, `width_multiple`, ...) that override the config's. All others are arguments of
            `timm.create_model` for the backbone (`drop_path_rate`, `output_stride`, `pretrained_cfg_overlay`,
            `cache_dir`, ...), or `revision`, `token`, `local_files_only` and `force_download` for what comes from the
            Hub (`mbv3zoo.hub.pull`). Pictures are 640 x 640 unless told otherwise; for a timm model that is bound to
            one size, or has a least one, they are of the size that it was trained for.

    Returns:
        The detector; in training mode like any new module, unless its own weights were loaded.

    Raises:
        ValueError: Unknown name (the nearest are named), bad setting, or weights that do not fit.
    """
    hub_args = {key: settings.pop(key) for key in HUB_ARGS if key in settings}
    build_args = {key: settings.pop(key) for key in BUILD_ARGS if key in settings}
    if 'cache_dir' in build_args:
        hub_args['cache_dir'] = build_args['cache_dir']
    saved, repository = None, ''
    if is_timm_source(name):
        base, record = read_timm_source(name, pretrained, **hub_args)
        build_args, repository = {'pretrained_cfg': record, **build_args}, name.partition(':')[2]
    elif (place := find_saved(name)) is not None:
        saved = read_saved(place, **hub_args)
        base = saved.config
    else:
        base = _find_config(name, {k: v for k, v in settings.items() if k in SCALING and v is not None})

    # None, the way callers pass on what was not given, leaves a field as it is.
    own = {k: v for k, v in settings.items() if k in DetectorConfig.model_fields and v is not None}
    backbone_args = {k: v for k, v in settings.items() if k not in DetectorConfig.model_fields}
    config = _override(base, own, backbone_args)
    if saved and config.image_size != base.image_size and 'img_size' not in backbone_args:
        config = _keep_trained_size(base, config) if pretrained else _forget_trained_size(config)
    if not (saved and pretrained):
        licenses = fresh_record(config.backbone, pretrained, build_args, config.licenses, repository)
        config = config.model_copy(update={'licenses': licenses})
    check_allowed(config.licenses, allow_licenses)
    given = {'pretrained_cfg', 'pretrained_cfg_overlay', 'checkpoint_path'} & build_args.keys()
    if pretrained and not (saved or given):
        build_args |= checked_weights(config.backbone, **hub_args)

    if saved and pretrained:
        check_size(saved.config, saved.weights, name)
    try:
        detector = Detector(config, pretrained=pretrained and not saved, **build_args)
    except ValueError as error:
        if is_config_file(name):
            raise ValueError(f'{name}: {error}') from error
        raise
    if device := build_args.get('device'):
        detector.to(device)
    if dtype := build_args.get('dtype'):
        detector.to(dtype)
    if pretrained and repository:
        check_complete(stock_weights(detector), build_args['pretrained_cfg']['file'])
    if saved and pretrained:
        load_saved(detector, saved.weights, saved.config.class_names, name)
        detector.eval()
    if freeze_backbone:
        detector.freeze_backbone(freeze_backbone)
    if freeze_norm:
        detector.freeze_norm()
    if grad_checkpointing:
        detector.set_grad_checkpointing()
    return detector


def list_detectors(filter: str = '', pretrained: bool = False) -> list[str]:
    """Names of the package's detectors and of those that other packages registered (`register_detector`).

    Args:
        filter: A pattern such as 'mbv3*'.
        pretrained: Only those that have weights, as 'name.tag'.
    """
    names = zoo.known_weights() if pretrained else zoo.detector_names()
    return [name for name in names if fnmatch.fnmatch(name, filter or '*')]


def _find_config(name: str | Path | DetectorConfig, scaling: dict[str, Any]) -> DetectorConfig:
    if isinstance(name, DetectorConfig):
        return name
    text = str(name)
    if is_config_file(name):
        return load_config(name, **scaling)
    architecture, _, tag = text.partition('.')
    if (config := zoo.find_config(text)) is not None:
        return config
    if text in timm.list_pretrained(architecture) and (config := zoo.find_config(architecture)) is not None:
        return config.model_copy(update={'backbone': text})
    if is_model(architecture) and (not tag or f'{architecture}.{tag}' in timm.list_pretrained(architecture)):
        return DetectorConfig(backbone=text, image_size=default_image_size(text))
    known = {*zoo.detector_names(), *zoo.known_weights(), *timm.list_models()}
    known |= {*timm.list_pretrained(f'{architecture}*')}
    near = difflib.get_close_matches(text, known, n=3, cutoff=0.5)
    hint = f'did you mean {", ".join(near)}?' if near else 'list_detectors() and timm.list_models() name all.'
    raise ValueError(f'unknown detector or backbone {text!r}; {hint}')


def _keep_trained_size(base: DetectorConfig, config: DetectorConfig) -> DetectorConfig:
    """Builds the backbone for the size that its weights were trained for, to run on pictures of another."""
    # Position embeddings have that size. timm resamples them in each forward pass, in the families that can.
    plan = make_plan(base.backbone, base.image_size, base.in_chans, **base.backbone_args)
    if 'img_size' not in plan.build_args:
        return config
    args = {**config.backbone_args, 'img_size': plan.build_args['img_size']}
    if plan.bound and not takes(base.backbone, base.image_size, config.image_size, base.in_chans, **args):
        raise ValueError(
            f'the weights were trained on pictures of {base.image_size}, and {base.backbone!r} takes no others with '
            f'them, given {config.image_size}; leave image_size as it is, or train anew with pretrained=False'
        )
    return config.model_copy(update={'backbone_args': args})


def _forget_trained_size(config: DetectorConfig) -> DetectorConfig:
    return config.model_copy(
        update={'backbone_args': {key: value for key, value in config.backbone_args.items() if key != 'img_size'}}
    )


def _override(base: DetectorConfig, own: dict[str, Any], backbone_args: dict[str, Any]) -> DetectorConfig:
    if not own and not backbone_args:
        return base
    data = base.model_dump()
    if 'class_names' in own or own.get('num_classes', base.num_classes) != base.num_classes:
        del data['num_classes'], data['class_names']
    if 'in_chans' in own and own['in_chans'] != base.in_chans:
        data['mean'] = data['std'] = None
    data.update(own)
    data['backbone_args'] = {**data['backbone_args'], **backbone_args}
    return DetectorConfig.parse(data)
