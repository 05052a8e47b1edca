"""A detector as a model of transformers, for `AutoModelForObjectDetection`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self, Unpack

import torch
from transformers.modeling_utils import PreTrainedModel
from transformers.models.auto.modeling_auto import MODEL_FOR_OBJECT_DETECTION_MAPPING_NAMES, AutoModelForObjectDetection
from transformers.utils.generic import ModelOutput

from mbv3zoo.detector import Detector
from mbv3zoo.hub import PullOptions, PushOptions
from mbv3zoo.integrations.transformers.configuration_auto import MBV3ZooConfig, detector_config
from mbv3zoo.saving.folder import MODEL_TYPE

# What transformers passes on for models of other kinds.
_NO_EFFECT = {'adapter_kwargs', 'attn_implementation', 'low_cpu_mem_usage', 'trust_remote_code', 'use_safetensors'}


class MBV3ZooForObjectDetection(PreTrainedModel):
    """A detector as transformers' pipeline runs it.

    Args:
        config: A `MBV3ZooConfig`.
        detector: The detector; by default one with new weights.

    Attributes:
        detector: The `mbv3zoo.Detector`.
    """

    config_class = MBV3ZooConfig
    main_input_name = 'pixel_values'

    def __init__(self, config: Any, detector: Detector | None = None) -> None:
        super().__init__(config)
        self.detector = Detector(detector_config(config)) if detector is None else detector
        self.post_init()

    def _init_weights(self, module: Any) -> None:
        pass  # the detector initialises its own

    def forward(self, pixel_values: torch.Tensor) -> Any:
        """Images to raw logits.

        Args:
            pixel_values: float [B, C, H, W] in 0..1, as the image processor gives them.

        Returns:
            A `ModelOutput` with one tensor per level, as `mbv3zoo.Detector` gives them.
        """
        return ModelOutput({f'level{i}': level for i, level in enumerate(self.detector(pixel_values))})

    @classmethod
    def from_pretrained(
        cls,
        pretrained_model_name_or_path: str | Path,
        *,
        config: Any = None,
        dtype: torch.dtype | str | None = None,
        device_map: Any = None,
        **options: Any,
    ) -> Self:
        """Loads a detector, as `mbv3zoo.Detector.from_pretrained` does.

        Args:
            pretrained_model_name_or_path: As `mbv3zoo.Detector.from_pretrained` takes it.
            config: Its `MBV3ZooConfig`, where it is read already.
            dtype: Type of the weights; 'auto' and None keep the saved one.
            device_map: One device, or 'auto' for the accelerator that there is.
            **options: `mbv3zoo.hub.PullOptions`.

        Raises:
            ValueError: There is no detector there.
            TypeError: An option is none of the Hub's.
        """
        pull: Any = {name: options.pop(name) for name in PullOptions.__annotations__ if name in options}
        if unknown := sorted(name for name in options.keys() - _NO_EFFECT if not name.startswith('_')):
            raise TypeError(f'a detector of mbv3zoo is loaded without {", ".join(unknown)}; leave it out')
        detector = Detector.from_pretrained(pretrained_model_name_or_path, **pull)
        if config is None:
            config = cls.config_class.from_pretrained(pretrained_model_name_or_path, **pull)
        if dtype is not None and dtype != 'auto':
            detector.to(getattr(torch, dtype) if isinstance(dtype, str) else dtype)
        model = cls(config, detector).eval()
        return model if device_map is None else model.to(_device(device_map))

    def save_pretrained(self, save_directory: str | Path) -> None:
        """Writes the detector's folder, as `mbv3zoo.Detector.save_pretrained` does, which transformers opens too."""
        self.detector.save_pretrained(save_directory)

    def push_to_hub(self, repo_id: str, **options: Unpack[PushOptions]) -> str:
        """Uploads the detector's folder, as `mbv3zoo.Detector.push_to_hub` does."""
        return self.detector.push_to_hub(repo_id, **options)


def _device(device_map: Any) -> Any:
    """The one device of a `device_map`."""
    if isinstance(device_map, Mapping):
        device_map = next(iter({*device_map.values()}))
    if device_map in ('auto', 'balanced', 'balanced_low_0', 'sequential'):
        return torch.accelerator.current_accelerator() or 'cpu'
    return device_map


AutoModelForObjectDetection.register(MBV3ZooConfig, MBV3ZooForObjectDetection)
# Here the pipeline looks whether it knows the model.
MODEL_FOR_OBJECT_DETECTION_MAPPING_NAMES.setdefault(MODEL_TYPE, MBV3ZooForObjectDetection.__name__)
