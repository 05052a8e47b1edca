"""Backbones from anyone's timm repository: `hf-hub:org/name` on the Hub, `local-dir:folder` on disk."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields
from pathlib import Path
from typing import Any, NamedTuple, Unpack

import safetensors
from timm.models import PretrainedCfg, is_model

from mbv3zoo import hub
from mbv3zoo.config.backbone_args import check_backbone_args
from mbv3zoo.config.detector import DetectorConfig
from mbv3zoo.models.timm_model import check_name, default_image_size
from mbv3zoo.saving import folder as saved_folder

PREFIXES = ('hf-hub:', 'local-dir:')

# A repository describes its own weights; where weights come from is for the caller to say.
_SOURCES = ('url', 'file', 'hf_hub_id', 'hf_hub_filename', 'source', 'state_dict', 'custom_load', 'label_offset')
_CLASSIFIER = ('num_classes', 'global_pool', 'drop_rate')


class TimmSource(NamedTuple):
    """What a timm repository says.

    Attributes:
        config: A detector on its backbone.
        pretrained_cfg: timm's record of its weights, whose `file` is the local copy of model.safetensors.
    """

    config: DetectorConfig
    pretrained_cfg: dict[str, Any]


def is_timm_source(name: Any) -> bool:
    """Whether a name is a repository of timm's."""
    return isinstance(name, str) and name.startswith(PREFIXES)


def read_timm_source(name: str, pretrained: bool, **options: Unpack[hub.PullOptions]) -> TimmSource:
    """Reads a repository that `timm.models.push_to_hf_hub` or `Detector.save_pretrained` wrote.

    Args:
        name: 'hf-hub:org/name', 'hf-hub:org/name@revision' or 'local-dir:folder'.
        pretrained: Fetch the weights as well.
        **options: Those of `mbv3zoo.hub.pull`.

    Raises:
        ValueError: There is no such repository, it has no model.safetensors, or its config.json is not one of timm's,
            or names a model that timm does not know.
    """
    names = [saved_folder.CONFIG_NAME, saved_folder.BACKBONE_NAME][: 1 + pretrained]
    files = _find(name, names, options)
    config = saved_folder.read_config(files[saved_folder.CONFIG_NAME])
    architecture = config.get('architecture')
    if not isinstance(architecture, str) or not is_model(architecture):
        raise ValueError(
            f'{name}: config.json has the architecture {architecture!r}, which timm does not know; expected '
            "one of timm's models. A package that registers its own has to be imported first"
        )
    record = _record(name, config)
    if pretrained:
        record['file'] = str(files[saved_folder.BACKBONE_NAME])
    return TimmSource(_detector_config(name, architecture, config.get('model_args') or {}), record)


def checked_weights(name: str, **options: Unpack[hub.PullOptions]) -> dict[str, Any]:
    """Where timm is to read a model's own weights from: a copy that was checked against what the Hub states.

    Args:
        name: A timm model name, with or without a tag.
        **options: Those of `mbv3zoo.hub.pull`.

    Returns:
        Arguments of `timm.create_model`; none where its weights are not on the Hub, or in a format of their own.
    """
    record = check_name(name)
    if not record.hf_hub_id or record.hf_hub_filename or record.custom_load or record.file:
        return {}
    repo_id, _, revision = record.hf_hub_id.partition('@')
    files = hub.pull(repo_id, (saved_folder.BACKBONE_NAME,), **_at(revision, options))
    return {'pretrained_cfg_overlay': {'file': str(files[saved_folder.BACKBONE_NAME])}}


def check_complete(names: Iterable[str], path: str | Path) -> None:
    """Raises ValueError where a file of weights lacks tensors of a backbone, which would stay as they were drawn.

    Args:
        names: timm's names of the tensors.
        path: The file. One with names of another library, which timm translates for some families, is not looked at.
    """
    with safetensors.safe_open(path, 'pt') as file:
        stored = set(file.keys())
    names = set(names)
    if names & stored and (missing := sorted(names - stored)):
        raise ValueError(f'{path}: {len(missing)} tensors of the backbone are missing, {missing[0]} first')


def _find(name: str, names: list[str], options: hub.PullOptions) -> dict[str, Path]:
    prefix, _, place = name.partition(':')
    if prefix == 'hf-hub':
        repo_id, _, revision = place.partition('@')
        return hub.pull(repo_id, names, **_at(revision, options))
    files = {file: Path(place) / file for file in names}
    for file, path in files.items():
        if not path.is_file():
            raise ValueError(f'{name}: the folder has no {file}. {saved_folder.NO_PICKLES}')
    return files


def _at(revision: str, options: hub.PullOptions) -> hub.PullOptions:
    """The options with the revision that a name ends in, unless they have one."""
    return {**options, 'revision': options.get('revision') or revision or None}


def _record(name: str, config: dict[str, Any]) -> dict[str, Any]:
    # Older repositories have its fields at the top.
    record = config.get('pretrained_cfg', config)
    if not isinstance(record, dict):
        raise ValueError(f'{name}: pretrained_cfg in config.json is a {type(record).__name__}, expected a mapping')
    known = {field.name for field in fields(PretrainedCfg)} - {'architecture', 'tag', *_SOURCES}
    record = {key: value for key, value in record.items() if key in known}
    if 'num_classes' in config:
        record['num_classes'] = config['num_classes']
    for key in ('mean', 'std'):
        values = record.get(key, ())
        if not isinstance(values, (list, tuple)) or not all(isinstance(value, (int, float)) for value in values):
            raise ValueError(f'{name}: {key} in config.json is {values!r}, expected a list of numbers')
    return record


def _detector_config(name: str, architecture: str, arguments: Any) -> DetectorConfig:
    if not isinstance(arguments, dict):
        raise ValueError(f'{name}: model_args in config.json is a {type(arguments).__name__}, expected a mapping')
    arguments = {key: value for key, value in arguments.items() if key not in _CLASSIFIER}
    size = arguments.pop('img_size', None) or default_image_size(architecture)
    data = {'in_chans': arguments.pop('in_chans', 3), 'image_size': size, 'backbone_args': arguments}
    check_backbone_args(arguments, f'{name}: config.json')
    return DetectorConfig.parse({'backbone': architecture, **data}, name)
