"""The ways to get a detector: by name, from a config, from any timm backbone, from what was saved."""

from __future__ import annotations

import fnmatch
import logging
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Unpack

from mbv3zoo.config.detector import DetectorConfig
from mbv3zoo.config.model import ModelConfig, Task
from mbv3zoo.config.tasks import CONFIGS, KINDS
from mbv3zoo.detector import Detector
from mbv3zoo.hub import PullOptions
from mbv3zoo.licenses import check_allowed
from mbv3zoo.model import Model
from mbv3zoo.models.activations import activation_layer
from mbv3zoo.models.anchors import doubt
from mbv3zoo.segmenter import Segmenter
from mbv3zoo.utils.text import one_line
from mbv3zoo.zoo import checkpoint
from mbv3zoo.zoo.config_source import ConfigSource
from mbv3zoo.zoo.registry import detector_names, find_config, known_weights
from mbv3zoo.zoo.resolve import resolve
from mbv3zoo.zoo.settings import DetectorSettings, Given, SegmenterSettings
from mbv3zoo.zoo.source import Source

_logger = logging.getLogger(__name__)

MODELS: dict[Task, type[Model]] = {'detection': Detector, 'segmentation': Segmenter}

# Arguments of timm.create_model for the size of images, to which weights are adapted.
_SIZES = {'img_size', 'dynamic_img_size', 'strict_img_size'}
# Those that choose layers with which the same weights compute something else.
_LAYERS = {'act_layer', 'norm_layer', 'bn_eps', 'bn_tf', 'pad_type', 'attn_layer', 'aa_layer'}


def create_detector(
    name: str | Path | DetectorConfig,
    *,
    pretrained: bool = False,
    freeze_backbone: int = 0,
    freeze_norm: bool = False,
    grad_checkpointing: bool = False,
    allow_licenses: Iterable[str] | None = None,
    **settings: Unpack[DetectorSettings],
) -> Detector:
    """Builds a detector.

    Args:
        name: A packaged detector ('mbv3_yolo_small'), one with weights ('mbv3_yolo_small.synth'), any timm model
            ('resnet18', 'vit_tiny_patch16_224'; docs/backbones.md), a YAML file, a `DetectorConfig`, or what was saved:
            a folder or a Hub repository ('organisation/name'); or a backbone in a repository of timm's
            ('hf-hub:organisation/name', with '@revision' if need be, or 'local-dir:folder').
        pretrained: Load weights: the detector's where `name` is one with weights, else the backbone's. Without it all
            weights are random, as in timm; of a saved detector a warning says so.
        freeze_backbone: Freeze the backbone's stem and this many stages; see `ModelNetwork.freeze_backbone`.
        freeze_norm: Freeze the backbone's BatchNorms; see `ModelNetwork.freeze_norm`.
        grad_checkpointing: Train the backbone with less memory; see `ModelNetwork.set_grad_checkpointing`.
        allow_licenses: Refuse weights that were made from something under another licence than these, as the Hub spells
            them; see `mbv3zoo.licenses`. None checks nothing.
        **settings: Fields of `DetectorConfig` (`num_classes`, `class_names`, `in_chans`, `image_size`, `anchors`,
            `depth_multiple`, `width_multiple`, ...) that override the config's; arguments of `timm.create_model` for
            the backbone (`drop_path_rate`, `output_stride`, `pretrained_cfg_overlay`, ...), with layers by their names
            (`norm_layer='batchnorm2d'`), as a config holds plain values; and the options of the Hub (`revision`,
            `cache_dir`, `token`, `local_files_only`, `force_download`). See
            `mbv3zoo.zoo.settings.DetectorSettings`. Images are 640 x 640 unless told otherwise; for a timm model that
            is bound to one size, or has a least one, they are of the size that it was trained for.

    Returns:
        The detector; in training mode like any new module, unless its own weights were loaded.

    Raises:
        ValueError: Unknown name (the nearest are named), bad setting, or weights that do not fit.

    Example:
        >>> detector = mbv3zoo.create_detector('resnet18', class_names=['cat', 'dog'], image_size=320)
        >>> detector.config.num_classes, detector.strides
        (2, (8, 16, 32))
    """
    options = pretrained, freeze_backbone, freeze_norm, grad_checkpointing, allow_licenses
    return _create(name, 'detection', *options, settings)


def create_segmenter(
    name: str | Path | ModelConfig,
    *,
    pretrained: bool = False,
    freeze_backbone: int = 0,
    freeze_norm: bool = False,
    grad_checkpointing: bool = False,
    allow_licenses: Iterable[str] | None = None,
    **settings: Unpack[SegmenterSettings],
) -> Segmenter:
    """Builds a semantic segmenter: a backbone with the LR-ASPP head (Howard et al., arXiv 1905.02244, section 6.4).

    Args:
        name: A packaged segmenter ('mbv3_lraspp_small'), one with weights ('mbv3_lraspp_small.synth'), any backbone
            that `create_detector` takes, a YAML file with `task: segmentation`, a `SegmenterConfig`, or what was saved.
        pretrained, freeze_backbone, freeze_norm, grad_checkpointing, allow_licenses: As for `create_detector`.
        **settings: Fields of `SegmenterConfig` (`num_classes`, `class_names`, `image_size`, `low_stride`,
            `high_stride`, ...), arguments of `timm.create_model`, and the options of the Hub, as for `create_detector`.
            Images are 512 x 512 unless told otherwise.

    Returns:
        The segmenter; in training mode like any new module, unless its own weights were loaded.

    Raises:
        ValueError: As `create_detector`.

    Example:
        >>> segmenter = mbv3zoo.create_segmenter('mbv3_yolo_small', class_names=['background', 'road'])
        >>> segmenter.config.num_classes, segmenter.config.high_stride
        (2, 16)
    """
    options = pretrained, freeze_backbone, freeze_norm, grad_checkpointing, allow_licenses
    return _create(name, 'segmentation', *options, settings)


def create_model(name: str | Path | ModelConfig, pretrained: bool = False, **settings: Any) -> Any:
    """As `create_detector` or `create_segmenter`, by the task that the config of `name` has."""
    return _create(name, None, pretrained, 0, False, False, None, settings)


def _create(
    name: str | Path | ModelConfig,
    task: Task | None,
    pretrained: bool,
    freeze_backbone: int,
    freeze_norm: bool,
    grad_checkpointing: bool,
    allow_licenses: Iterable[str] | None,
    settings: Mapping[str, Any],
) -> Any:
    options = {key: value for key, value in settings.items() if key in PullOptions.__optional_keys__}
    found = None
    if task is None:
        found = resolve(name, **options)
        task = found.read_config().task
    given = Given.of(settings, CONFIGS[task])
    source = _source(name, given, pretrained, found)
    config = _override(source, given, pretrained, task)
    check_allowed(config.licenses, allow_licenses)
    detector = _build(source, config, pretrained, given.build_args)
    if pretrained:
        source.load(detector)
        if source.is_saved:
            detector.eval()
    for warning in _doubts(detector, source, given, pretrained):
        _logger.warning(warning)
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

    Example:
        >>> mbv3zoo.list_detectors('mbv3_yolo_small*', pretrained=True)
        ['mbv3_yolo_small.synth', 'mbv3_yolo_small_v2.synth']
    """
    return _names('detection', filter, pretrained)


def list_segmenters(filter: str = '', pretrained: bool = False) -> list[str]:
    """As `list_detectors`, the names of segmenters.

    Example:
        >>> mbv3zoo.list_segmenters()
        ['mbv3_lraspp_large', 'mbv3_lraspp_small']
    """
    return _names('segmentation', filter, pretrained)


def _names(task: Task, filter: str, pretrained: bool) -> list[str]:
    names = known_weights() if pretrained else detector_names()
    configs = {name: find_config(name.partition('.')[0]) for name in names if fnmatch.fnmatch(name, filter or '*')}
    return [name for name, config in configs.items() if config is not None and config.task == task]


def _source(name: str | Path | ModelConfig, given: Given, pretrained: bool, found: Source | None) -> Source:
    """Where a model comes from, unless that was found, with settings that have an effect there."""
    if not isinstance(pretrained, bool):
        raise ValueError(
            f'pretrained must be True or False, given {pretrained!r}; which weights is said by the name, as in '
            "'mbv3_yolo_small.synth' or 'resnet18.a1_in1k'"
        )
    if given.build_args.get('device') == 'meta' and (pretrained or given.build_args.get('checkpoint_path')):
        told = 'pretrained=True' if pretrained else 'checkpoint_path'
        raise ValueError(f"device='meta' holds no weights, and {told} loads some; leave one of them out")
    source = found or resolve(name, **given.options)
    if sentence := source.without_effect(given, pretrained):
        raise ValueError(sentence)
    return source


def _override(source: Source, given: Given, pretrained: bool, task: Task) -> ModelConfig:
    """The config of what a source has, with the settings that were given."""
    base = _of_task(source.read_config(pretrained, given.scaling), source, task)
    config = given.override(base)
    if config.image_size != base.image_size and 'img_size' not in given.backbone_args:
        config = source.at_size(base, config, pretrained)
    return config.model_copy(update={'licenses': source.licenses(config, pretrained, given.build_args)})


def _of_task(config: ModelConfig, source: Source, task: Task) -> ModelConfig:
    """The config of a model for a task; of a new detector its backbone is taken for a segmenter."""
    if config.task == task:
        return config
    if source.is_saved or task == 'detection':
        kind = KINDS[config.task]
        raise ValueError(f'{source.name} is a {kind}, not a {KINDS[task]}; use create_{kind}, or name another model')
    fields = config.model_dump(include={'backbone', 'backbone_args', 'in_chans', 'image_size', 'mean', 'std'})
    if config.image_size == DetectorConfig.model_fields['image_size'].default:
        del fields['image_size']
    return CONFIGS[task].parse(fields)


def _build(source: Source, config: ModelConfig, pretrained: bool, given: Mapping[str, Any]) -> Model:
    """The detector, with what timm loads, on its device."""
    args, build = source.build_args(config, pretrained, given), MODELS[config.task]
    if path := given.get('checkpoint_path'):
        tensors = checkpoint.read_checkpoint(path)
        of_features = checkpoint.is_of_features(config, tensors)
        args = checkpoint.build_args(args, of_features)
        with checkpoint.named(path):
            detector = build(config, pretrained=not of_features, **args)
            checkpoint.finish_loading(detector, tensors, of_features)
    else:
        with source.named():
            detector = build(config, pretrained=pretrained and not source.is_saved, **args)
    if device := given.get('device'):
        detector.to(device)
    if dtype := given.get('dtype'):
        detector.to(dtype)
    return detector


def _doubts(detector: Model, source: Source, given: Given, pretrained: bool) -> Iterator[str]:
    """Settings that are taken, and that are rarely meant so, each in a sentence."""
    config = detector.config
    # A saved detector's anchors are those that it was trained with.
    own_anchors = source.is_saved and 'anchors' not in given.fields
    if (
        isinstance(config, DetectorConfig)
        and not own_anchors
        and (sentence := doubt(config.anchors, detector.strides, config.image_size))
    ):
        yield sentence
    if {'mean', 'std'} & given.fields.keys() and max(*config.mean or (0,), *config.std or (0,)) > 1:
        yield f'mean {config.mean} and std {config.std} are for images in 0..1: divide those for 0..255 by 255'
    if not source.is_saved:
        own = {} if isinstance(source, ConfigSource) else source.read_config().backbone_args
        changed = {k: v for k, v in config.backbone_args.items() if k in _LAYERS and own.get(k) != v}
        if pretrained and changed:
            yield f'the weights of backbone {config.backbone!r} were trained without {changed}'
        return
    if not pretrained:
        if detector.mean.device.type != 'meta':
            yield f'{source.name} is built with random weights; pretrained=True loads those that are saved'
        return
    base = source.read_config()
    for name in ('activation', 'anchors', 'mean', 'std', 'backbone_args'):
        trained, now = (getattr(one, name, None) for one in (base, config))
        if _computed(trained) != _computed(now) and (name in given.fields or name == 'backbone_args'):
            yield (
                f'{source.name}: the weights were trained with {name} {one_line(str(trained), 200)}, and are used with '
                f'{one_line(str(now), 200)}: they give other results until they are trained further'
            )


def _computed(value: Any) -> Any:
    """A setting without what leaves a forward pass in evaluation mode as it is."""
    if isinstance(value, str):
        return activation_layer(value)
    if not isinstance(value, dict):
        return value
    return {key: part for key, part in value.items() if not key.startswith('drop') and key not in _SIZES}
