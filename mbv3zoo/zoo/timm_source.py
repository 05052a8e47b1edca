"""Backbones from anyone's timm repository: `hf-hub:org/name` on the Hub, `local-dir:folder` on disk."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import fields
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, Unpack
from urllib.parse import urlsplit

import torch
from timm.models import PretrainedCfg, is_model
from torch import Tensor

from mbv3zoo import hub
from mbv3zoo.config.backbone_args import check_backbone_args
from mbv3zoo.config.detector import DetectorConfig
from mbv3zoo.config.license_record import LicenseRecord
from mbv3zoo.config.model import ModelConfig
from mbv3zoo.hub.errors import disk_errors, is_local
from mbv3zoo.licenses import fresh_record
from mbv3zoo.models.base_network import ModelNetwork
from mbv3zoo.models.timm_model import check_name, default_image_size
from mbv3zoo.models.weights import check_loaded
from mbv3zoo.saving import folder as saved_folder
from mbv3zoo.saving.digests import ACCEPT, accept_on_hub, read_digests
from mbv3zoo.saving.settled import settled
from mbv3zoo.saving.weights_file import identity, read_weights
from mbv3zoo.utils.atomic import current
from mbv3zoo.utils.files import file_digest
from mbv3zoo.zoo.settings import Given
from mbv3zoo.zoo.source import TIMM_PREFIXES, Source

# A repository describes its own weights; where weights come from is for the caller to say.
_SOURCES = ('url', 'file', 'hf_hub_id', 'hf_hub_filename', 'source', 'state_dict', 'custom_load', 'label_offset')
_CLASSIFIER = ('num_classes', 'global_pool', 'drop_rate')


class _Weights(NamedTuple):
    """A file of weights as it was checked: what timm reads afterwards must be the same file."""

    path: Path
    identity: tuple[int, ...]
    tensors: Mapping[str, Tensor]


class TimmSource(Source):
    """A repository that `timm.models.push_to_hf_hub` or `Detector.save_pretrained` wrote: a backbone with its weights.

    Its name is 'hf-hub:org/name', 'hf-hub:org/name@revision' or 'local-dir:folder'.
    """

    name: str
    _weights: _Weights

    def __init__(self, name: str, options: hub.PullOptions) -> None:
        super().__init__(name, options)
        self.place = name.partition(':')[2]

    def without_effect(self, given: Given, pretrained: bool) -> str | None:
        """As `Source.without_effect`: a folder has no revisions, and weights are loaded from one place."""
        if pretrained and given.build_args.get('checkpoint_path'):
            return (
                f'{self.name}: checkpoint_path is given, and pretrained=True loads other weights: leave one of them out'
            )
        if self.options.get('revision') is not None and not self.name.startswith(TIMM_PREFIXES[0]):
            return (
                f'revision={self.options["revision"]!r} was given for {self.name!r}, but only repositories on the Hub '
                'have revisions: leave it out'
            )
        return None

    def read_config(self, pretrained: bool = False, scaling: Mapping[str, Any] | None = None) -> ModelConfig:
        """As `Source.read_config`: a detector on the repository's backbone.

        Raises:
            ValueError: There is no such repository, it has no model.safetensors, or its config.json is not one of
                timm's, or names a model that timm does not know.
        """
        with self.named():
            if pretrained:
                self._config, self._weights = settled(
                    lambda: self._find(saved_folder.CONFIG_NAME, saved_folder.BACKBONE_NAME), self._read
                )
            return self._read_config()

    def _read_config(self) -> ModelConfig:
        architecture = self._config.get('architecture')
        if not isinstance(architecture, str) or not is_model(architecture):
            raise ValueError(
                f'{self.name}: config.json has the architecture {architecture!r}, which timm does not know; expected '
                "one of timm's models. A package that registers its own has to be imported first"
            )
        assert self._pretrained_cfg is not None  # checked with the rest
        return _detector_config(self.name, architecture, self._config.get('model_args') or {})

    def build_args(self, config: ModelConfig, pretrained: bool, given: Mapping[str, Any]) -> dict[str, Any]:
        """As `Source.build_args`: timm's record of the weights, with the local copy of model.safetensors."""
        file = {'file': str(self._weights.path)} if pretrained else {}
        return {'pretrained_cfg': {**self._pretrained_cfg, **file}, **given}

    def licenses(self, config: ModelConfig, pretrained: bool, given: Mapping[str, Any]) -> LicenseRecord:
        """As `Source.licenses`: the repository's own word is taken."""
        args = {'pretrained_cfg': self._pretrained_cfg, **given}
        return fresh_record(config.backbone, pretrained, args, config.licenses, repository=self.place)

    def load(self, network: ModelNetwork) -> None:
        """As `Source.load`: timm has loaded the weights, and leaves tensors that are missing as they were drawn."""
        if identity(self._weights.path) != self._weights.identity:
            raise ValueError(f'{self.name}: {self._weights.path.name} was replaced while it was loaded; load it again')
        check_loaded(network, self._weights.tensors, self.name)

    def _read(self, files: Mapping[str, Path]) -> tuple[dict[str, Any], _Weights]:
        config = saved_folder.read_config(files[saved_folder.CONFIG_NAME])
        path = files[saved_folder.BACKBONE_NAME]
        opened = identity(path)
        # Of another library's config.json nothing is known.
        ours = config.get('library_name') == 'mbv3zoo'
        digests = read_digests(config, saved_folder.WEIGHT_NAMES, self.name) if ours else None
        accept = accept_on_hub(self.place.partition('@')[0]) if self.name.startswith(TIMM_PREFIXES[0]) else ACCEPT
        digest = (digests or {}).get(saved_folder.BACKBONE_NAME)
        return config, _Weights(path, opened, read_weights(path, digest=digest, accept=accept))

    @cached_property
    def _config(self) -> dict[str, Any]:
        return saved_folder.read_config(self._find(saved_folder.CONFIG_NAME)[saved_folder.CONFIG_NAME])

    @cached_property
    def _pretrained_cfg(self) -> dict[str, Any]:
        return _record(self.name, self._config)

    def _find(self, *names: str) -> dict[str, Path]:
        if self.name.startswith(TIMM_PREFIXES[0]):
            repo_id, _, revision = self.place.partition('@')
            return hub.pull(repo_id, names, **_at(revision, self.options))
        files = {name: current(Path(self.place) / name) for name in names}
        for name, path in files.items():
            if not path.is_file():
                raise ValueError(f'{self.name}: the folder has no {name}. {saved_folder.NO_PICKLES}')
        return files


def checked_weights(name: str, **options: Unpack[hub.PullOptions]) -> dict[str, Any]:
    """Where timm is to read a model's own weights from: a copy that was checked against what the Hub states.

    Args:
        name: A timm model name, with or without a tag.
        **options: Those of `mbv3zoo.hub.pull`.

    Returns:
        Arguments of `timm.create_model`; none where there are no weights, or in a file that timm has.

    Raises:
        ValueError, ConnectionError, OSError: As `mbv3zoo.hub.pull`, also for weights that are on another server.
    """
    record = check_name(name)
    if record.file or not (record.hf_hub_id or record.url):
        return {}
    if not record.hf_hub_id:
        assert record.url is not None
        return {'pretrained_cfg_overlay': {'file': _fetched(name, record.url)}}
    repo_id, _, revision = record.hf_hub_id.partition('@')
    file = record.hf_hub_filename or saved_folder.BACKBONE_NAME
    files = hub.pull(repo_id, (file,), **_at(revision, options))
    overlay: dict[str, Any] = {'file': str(files[file])}
    if not record.hf_hub_filename:
        # In the repository are the tensors as timm names them, whatever format their first file had.
        overlay['custom_load'] = False
    return {'pretrained_cfg_overlay': overlay}


def _fetched(name: str, place: str | tuple[str, str]) -> str:
    """A file of weights by its address, or that and its name; the name tells the start of its SHA-256, as timm's do."""
    url, file = (place, Path(urlsplit(place).path).name) if isinstance(place, str) else place
    path = Path(torch.hub.get_dir()) / 'checkpoints' / file
    stated = re.search('-([0-9a-f]{8,})[.]', file)
    failed = f'cannot load the weights of {name!r} from {url}'
    with disk_errors(failed, path.parent):
        if stated and path.is_file() and not file_digest(path).startswith(stated[1]):
            path.unlink()
        if not path.is_file():
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                torch.hub.download_url_to_file(url, str(path), stated and stated[1], progress=False)
            except Exception as error:  # urllib's, or that of its own check of the hash
                if is_local(error):
                    raise
                raise ConnectionError(f'{failed}: {error}. Check the network and try again.') from error
    return str(path)


def _at(revision: str, options: hub.PullOptions) -> hub.PullOptions:
    """The options with the revision that a name ends in, unless they have one."""
    given = options.get('revision')
    return {**options, 'revision': (revision or None) if given is None else given}


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
