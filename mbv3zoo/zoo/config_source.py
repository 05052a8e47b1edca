"""A detector by its config: a YAML file, a named detector, any timm model, or a `DetectorConfig` itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import timm
from timm.models import is_model

from mbv3zoo.config.detector import DetectorConfig
from mbv3zoo.config.model import ModelConfig
from mbv3zoo.hub import PullOptions
from mbv3zoo.models.base_network import ModelNetwork
from mbv3zoo.models.timm_model import default_image_size
from mbv3zoo.models.weights import check_finite
from mbv3zoo.utils.text import nearest, shown
from mbv3zoo.zoo import registry as zoo
from mbv3zoo.zoo.configs import is_config_file, load_config
from mbv3zoo.zoo.settings import Given
from mbv3zoo.zoo.source import Source
from mbv3zoo.zoo.timm_source import checked_weights

# By these a user says where timm finds the backbone's weights.
_PLACES = {'pretrained_cfg', 'pretrained_cfg_overlay', 'checkpoint_path'}


class ConfigSource(Source):
    """A config: the detector is new, and its weights are those that timm has for the backbone."""

    def __init__(self, name: str | Path | ModelConfig, options: PullOptions) -> None:
        super().__init__(name, options)
        if not isinstance(name, ModelConfig) and is_config_file(name):
            self.path = Path(name)

    def without_effect(self, given: Given, pretrained: bool) -> str | None:
        """As `Source.without_effect`: without weights nothing is fetched."""
        if self.options.get('revision') is not None and (not pretrained or _PLACES & given.build_args.keys()):
            return (
                f'revision={self.options["revision"]!r} was given for {shown(self.name)}, of which nothing is fetched '
                'from the Hub: leave it out'
            )
        return None

    def read_config(self, pretrained: bool = False, scaling: Mapping[str, Any] | None = None) -> ModelConfig:
        """As `Source.read_config`.

        Raises:
            ValueError: Unknown name (the nearest are named), or a mistake in the file.
        """
        if isinstance(self.name, ModelConfig):
            return self.name
        if self.path is not None:
            return load_config(self.path, **(scaling or {}))
        return _named_config(str(self.name))

    def build_args(self, config: ModelConfig, pretrained: bool, given: Mapping[str, Any]) -> dict[str, Any]:
        """As `Source.build_args`; weights from the Hub are fetched, and checked."""
        if not pretrained or _PLACES & given.keys():
            return dict(given)
        return {**given, **checked_weights(config.backbone, **self.options)}

    def load(self, network: ModelNetwork) -> None:
        """As `Source.load`: timm has loaded them all."""
        check_finite(network, f'the weights of backbone {network.config.backbone!r}')

    @contextmanager
    def named(self) -> Iterator[None]:
        """As `Source.named`, of a YAML file; other names stand for code, whose errors pass as they are."""
        try:
            yield
        except ValueError as error:
            if self.path is None:
                raise
            raise ValueError(f'{self.name}: {error}') from error


def _named_config(name: str) -> ModelConfig:
    """The config of a named detector, or one on a timm model."""
    architecture, _, tag = name.partition('.')
    if (config := zoo.find_config(name)) is not None:
        return config
    if name in timm.list_pretrained(architecture) and (config := zoo.find_config(architecture)) is not None:
        return config.model_copy(update={'backbone': name})
    if is_model(architecture) and (not tag or f'{architecture}.{tag}' in timm.list_pretrained(architecture)):
        return DetectorConfig(backbone=name, image_size=default_image_size(name))
    known = {*zoo.detector_names(), *zoo.known_weights(), *timm.list_models()}
    known |= {*timm.list_pretrained(f'{architecture}*')}
    hint = nearest(name, known, 'list_detectors() and timm.list_models() name all.')
    raise ValueError(f'unknown detector or backbone {name!r}; {hint}')
