"""Detector: the network with everything a user does with it. And the ways to get one."""

from __future__ import annotations

import difflib
import fnmatch
import logging
import tempfile
from pathlib import Path
from typing import Any

import timm
import torch
from timm.models import is_model

from mbv3zoo import hub
from mbv3zoo.config import DetectorConfig
from mbv3zoo.config_loader import load_config, named_configs, named_weights
from mbv3zoo.detections import Detections
from mbv3zoo.model_card import render_card
from mbv3zoo.models.head_transfer import kept_classes, transfer_head
from mbv3zoo.models.network import DetectorNetwork
from mbv3zoo.models.sizes import takes
from mbv3zoo.models.timm_model import default_image_size, make_plan
from mbv3zoo.predictor import predict
from mbv3zoo.version import __version__

_logger = logging.getLogger(__name__)

# Arguments of timm.create_model that say where weights come from or where the model is put: true of one build only.
_BUILD_ARGS = ('cache_dir', 'pretrained_cfg', 'pretrained_cfg_overlay', 'checkpoint_path', 'device', 'dtype')


class Detector(DetectorNetwork):
    """An object detector: any timm backbone, YOLOv5's neck and head.

    Call it with float images [B, C, H, W] in 0..1 for raw logits (see `forward`), or use `predict`. `create_detector`
    builds one, `Detector.from_pretrained` loads one.
    """

    def predict(self, source: Any, **options: Any) -> Detections | list[Detections]:
        """Finds objects in one picture or many.

        Args:
            source: A path, PIL image, array [H, W, 3] uint8 RGB, tensor [3, H, W]; or a list, folder or glob of them.
            **options: `score_thresh` (0.25), `iou_thresh` (0.45), `max_detections` (300), `batch_size` (8),
                `image_size`; see `mbv3zoo.predictor.predict`.

        Returns:
            `Detections` of one picture, a list of them for many; boxes in pixels of the original picture.
        """
        return predict(self, source, **options)

    def save_pretrained(
        self,
        folder: str | Path,
        *,
        dtype: torch.dtype | None = None,
        card_data: dict[str, Any] | None = None,
        keep_card: bool = True,
    ) -> Path:
        """Writes config.json, model.safetensors and README.md: a folder that is a Hub repository.

        Args:
            folder: Where to; created if need be.
            dtype: Type that floating point weights are stored in; None keeps theirs. `torch.float16` halves the file.
            card_data: Facts for the model card; see `mbv3zoo.model_card.render_card`.
            keep_card: Whether a README.md that is there stays: people edit their cards.

        Raises:
            ValueError: The detector is fused: its weights no longer fit its config.
        """
        if self.fused:
            raise ValueError('a fused detector cannot be saved; save it first, then call fuse()')
        state = {
            name: tensor.to(dtype) if dtype and tensor.is_floating_point() else tensor
            for name, tensor in self._weights().items()
        }
        config = {
            'library_name': 'mbv3zoo',
            'library_version': __version__,
            **self.config.model_dump(mode='json'),
        }
        card = render_card(self.config, sum(p.numel() for p in self.parameters()), **(card_data or {}))
        return hub.save_folder(folder, config, state, card, keep_card=keep_card)

    def push_to_hub(self, repo_id: str, *, dtype: torch.dtype | None = None, **options: Any) -> str:
        """Uploads what `save_pretrained` writes, in one commit.

        Args:
            repo_id: 'organisation/name'.
            dtype: As in `save_pretrained`.
            **options: `token`, `private`, `revision`, `commit_message`, `create_pr`; see `mbv3zoo.hub.push_folder`.

        Returns:
            The address of the commit.
        """
        with tempfile.TemporaryDirectory() as folder:
            self.save_pretrained(folder, dtype=dtype, card_data={'name': repo_id})
            return hub.push_folder(folder, repo_id, **options)

    @classmethod
    def from_pretrained(cls, source: str | Path, **options: Any) -> Detector:
        """Loads a detector, in eval mode.

        Args:
            source: A folder that `save_pretrained` wrote, a packaged name ('mbv3_yolo_small.synth'), or a Hub
                repository 'organisation/name'.
            **options: `revision`, `cache_dir`, `token`, `local_files_only`, `force_download`; see
                `mbv3zoo.hub.load_folder`.

        Raises:
            ValueError: There is no detector there, or its weights do not fit its config.
        """
        place = find_saved(source)
        if place is None:
            raise ValueError(
                f'no weights called {str(source)!r}; expected a folder that save_pretrained wrote, a Hub repository '
                f"'organisation/name', or one of {list_detectors(pretrained=True)}"
            )
        data, state = hub.load_folder(place, **options)
        detector = cls(_saved_config(data, source))
        detector._load(state, source)
        return detector.eval()

    def _weights(self) -> dict[str, torch.Tensor]:
        """The state dict, with a tensor that layers share (as CoaT's do) once, under its first name."""
        state = self.state_dict(keep_vars=True)
        first = {id(tensor): name for name, tensor in reversed(state.items())}
        return {name: tensor.detach() for name, tensor in state.items() if first[id(tensor)] == name}

    def _load(self, state: dict[str, torch.Tensor], source: Any) -> None:
        """Loads weights; all must fit."""
        own = self._weights()
        missing = sorted(own.keys() - state.keys())
        unknown = sorted(state.keys() - self.state_dict().keys())
        rows = [
            f'{name} is {list(state[name].shape)}, expected {list(own[name].shape)}'
            for name in sorted(own.keys() & state.keys())
            if own[name].shape != state[name].shape
        ]
        rows += [*(f'{name} is missing' for name in missing), *(f'{name} is unknown' for name in unknown)]
        if rows:
            raise ValueError(
                f'{source}: the weights do not fit a detector on {self.config.backbone!r} with '
                f'{self.config.num_classes} classes: {"; ".join(rows[:5])}{" ..." if len(rows) > 5 else ""}'
            )
        self.load_state_dict({name: state[name] for name in own}, strict=False)

    def _adapt_head(
        self, state: dict[str, torch.Tensor], trained_names: tuple[str, ...], source: Any
    ) -> dict[str, torch.Tensor]:
        """Weights of a detector for other classes, with a head for this one's; what starts anew is logged."""
        names = self.config.class_names
        if names == trained_names:
            return state
        try:
            head = {
                name: transfer_head(state[name], fresh, trained_names, names)
                for name, fresh in self._weights().items()
                # Weights for another number of channels are told by `_load`, with all others that do not fit.
                if name.startswith('head.') and name in state and state[name].shape[1:] == fresh.shape[1:]
            }
        except ValueError as error:
            raise ValueError(f'{source}: {error}') from error
        kept = kept_classes(trained_names, names)
        anew = [name for name in names if name not in kept]
        gone = [name for name in trained_names if name not in names]
        _logger.warning(
            '%s: kept all but the classes; of these %d start anew: %s%s',
            source, len(anew), ', '.join(anew) or 'none', f'; dropped: {", ".join(gone)}' if gone else '',
        )  # fmt: skip
        return {**state, **head}


def create_detector(
    name: str | Path | DetectorConfig,
    *,
    pretrained: bool = False,
    freeze_backbone: int = 0,
    freeze_norm: bool = False,
    grad_checkpointing: bool = False,
    **settings: Any,
) -> Detector:
    """Builds a detector.

    Args:
        name: A packaged detector ('mbv3_yolo_small'), one with weights ('mbv3_yolo_small.synth'), any timm model
            ('resnet18', 'vit_tiny_patch16_224'; docs/backbones.md), a YAML file, a `DetectorConfig`, or what was saved:
            a folder or a Hub repository ('organisation/name').
        pretrained: Load weights: the detector's where `name` is one with weights, else the backbone's.
        freeze_backbone: Freeze the backbone's stem and this many stages; see `DetectorNetwork.freeze_backbone`.
        freeze_norm: Freeze the backbone's BatchNorms; see `DetectorNetwork.freeze_norm`.
        grad_checkpointing: Train the backbone with less memory; see `DetectorNetwork.set_grad_checkpointing`.
        **settings: Fields of `DetectorConfig` (`num_classes`, `class_names`, `in_chans`, `image_size`, `anchors`,
            `depth_multiple`, `width_multiple`, ...) that override the config's. All others are arguments of
            `timm.create_model` for the backbone (`drop_path_rate`, `output_stride`, `pretrained_cfg_overlay`,
            `cache_dir`, ...). Pictures are 640 x 640 unless told otherwise; for a timm model that is bound to one size,
            or has a least one, they are of the size that it was trained for.

    Returns:
        The detector; in training mode like any new module, unless its own weights were loaded.

    Raises:
        ValueError: Unknown name (the nearest are named), bad setting, or weights that do not fit.
    """
    state = None
    if (saved := find_saved(name)) is not None:
        data, state = hub.load_folder(saved, cache_dir=settings.get('cache_dir'))
        base = _saved_config(data, name)
    else:
        base = _find_config(name)

    build_args = {key: settings.pop(key) for key in _BUILD_ARGS if key in settings}
    # None, the way callers pass on what was not given, leaves a field as it is.
    own = {k: v for k, v in settings.items() if k in DetectorConfig.model_fields and v is not None}
    backbone_args = {k: v for k, v in settings.items() if k not in DetectorConfig.model_fields}
    config = _override(base, own, backbone_args)
    if state is not None and config.image_size != base.image_size and 'img_size' not in backbone_args:
        config = _keep_trained_size(base, config) if pretrained else _forget_trained_size(config)

    detector = Detector(config, pretrained=pretrained and state is None, **build_args)
    if device := build_args.get('device'):
        detector.to(device)
    if dtype := build_args.get('dtype'):
        detector.to(dtype)
    if pretrained and state is not None:
        detector._load(detector._adapt_head(state, base.class_names, name), name)
        detector.eval()
    if freeze_backbone:
        detector.freeze_backbone(freeze_backbone)
    if freeze_norm:
        detector.freeze_norm()
    if grad_checkpointing:
        detector.set_grad_checkpointing()
    return detector


def list_detectors(filter: str = '', pretrained: bool = False) -> list[str]:
    """Names that `create_detector` finds in the package.

    Args:
        filter: A pattern such as 'mbv3*'.
        pretrained: Only those whose weights are in the package, as 'name.tag'.
    """
    names = list(named_weights() if pretrained else named_configs())
    return [name for name in names if fnmatch.fnmatch(name, filter or '*')]


def _saved_config(data: dict[str, Any], source: Any) -> DetectorConfig:
    library = data.get('library_name')
    if library != 'mbv3zoo':
        raise ValueError(f'{source}: config.json is for the library {library!r}, expected an mbv3zoo detector')
    return DetectorConfig.parse({k: v for k, v in data.items() if not k.startswith('library_')}, source)


def find_saved(name: Any) -> Path | str | None:
    """Where a detector's weights are, for names that stand for weights."""
    if isinstance(name, DetectorConfig):
        return None
    text = str(name)
    if text in named_weights():
        return named_weights()[text]
    # A folder that happens to be called like a model does not stand in its way; './name' is the folder.
    if Path(text).is_dir() and not (text in named_configs() or is_model(text)):
        return Path(text)
    is_repository = isinstance(name, str) and text.count('/') == 1
    return text if is_repository and not text.endswith(('.yaml', '.yml')) and ':' not in text else None


def _find_config(name: str | Path | DetectorConfig) -> DetectorConfig:
    if isinstance(name, DetectorConfig):
        return name
    text = str(name)
    if isinstance(name, Path) or text.endswith(('.yaml', '.yml')):
        return load_config(name)
    architecture, _, tag = text.partition('.')
    if text in named_configs():
        return load_config(named_configs()[text])
    if architecture in named_configs() and (not tag or text in timm.list_pretrained(architecture)):
        config = load_config(named_configs()[architecture])
        return config.model_copy(update={'backbone': text})
    if is_model(architecture) and (not tag or f'{architecture}.{tag}' in timm.list_pretrained(architecture)):
        return DetectorConfig(backbone=text, image_size=default_image_size(text))
    known = {*named_configs(), *named_weights(), *timm.list_models(), *timm.list_pretrained(f'{architecture}*')}
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
