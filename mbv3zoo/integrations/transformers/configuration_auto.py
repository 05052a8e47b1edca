"""The config of a saved detector as transformers reads it, for `AutoConfig`."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import wrapt
from transformers.configuration_utils import PreTrainedConfig
from transformers.image_processing_base import ImageProcessingMixin
from transformers.models.auto.configuration_auto import AutoConfig

from mbv3zoo.config.detector import DetectorConfig
from mbv3zoo.saving.config import parse_config
from mbv3zoo.saving.folder import MODEL_TYPE
from mbv3zoo.zoo.registry import HubWeights, find_weights
from mbv3zoo.zoo.runs import detector_folder


class MBV3ZooConfig(PreTrainedConfig):
    """The config.json of a saved detector.

    Attributes:
        detector: The detector's config, as its config.json has it.
        id2label, label2id: Label -> class name, and back.
    """

    model_type = MODEL_TYPE

    @classmethod
    def from_dict(cls, config_dict: Mapping[str, Any], **kwargs: Any) -> Any:
        """As `PreTrainedConfig.from_dict`, of what stands in config.json."""
        config = parse_config(dict(config_dict), kwargs.get('name_or_path', 'the config'))
        return super().from_dict(
            {
                'detector': config.model_dump(mode='json'),
                'library_name': 'mbv3zoo',
                'id2label': dict(enumerate(config.class_names)),
                'label2id': {name: label for label, name in enumerate(config.class_names)},
                'dtype': config_dict.get('dtype', 'float32'),
            },
            **kwargs,
        )


def detector_config(config: Any) -> DetectorConfig:
    """The detector's config, of a `MBV3ZooConfig` or an image processor."""
    return DetectorConfig.parse(config.detector, 'the config')


def place_of(name: Any) -> Any:
    """The folder or repository of a detector's weights, for their name or a run; anything else as it is.

    transformers takes any name that is no folder for a repository.
    """
    if isinstance(name, str | Path) and os.path.isdir(name):
        return str(detector_folder(Path(name)))
    weights = find_weights(name) if isinstance(name, str) else None
    if weights is None:
        return name
    return weights.repo_id if isinstance(weights, HubWeights) else str(weights)


def _read(wrapped: Callable[..., tuple[dict, dict]], instance: Any, args: tuple, kwargs: dict) -> tuple[dict, dict]:
    """Knows detectors of older versions too, whose config.json has no model type.

    transformers itself takes those for backbones of timm, which they are as well.
    """
    settings, unused = wrapped(place_of(args[0]), *args[1:], **kwargs)
    if settings.get('library_name') == 'mbv3zoo':
        settings['model_type'] = MODEL_TYPE
    return settings, unused


AutoConfig.register(MODEL_TYPE, MBV3ZooConfig)
wrapt.wrap_function_wrapper(PreTrainedConfig, 'get_config_dict', _read)
wrapt.wrap_function_wrapper(ImageProcessingMixin, 'get_image_processor_dict', _read)
