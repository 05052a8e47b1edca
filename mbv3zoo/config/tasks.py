"""The config of each task."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mbv3zoo.config.detector import DetectorConfig
from mbv3zoo.config.model import ModelConfig, Task
from mbv3zoo.config.segmenter import SegmenterConfig

CONFIGS: dict[Task, type[ModelConfig]] = {'detection': DetectorConfig, 'segmentation': SegmenterConfig}
# What a model of each task is called, in config.json and in messages.
KINDS: dict[Task, str] = {'detection': 'detector', 'segmentation': 'segmenter'}
# Settings of training that matter to one task only.
TRAIN_SETTINGS: dict[Task, set[str]] = {
    'detection': {
        'loss', 'box_gain', 'class_gain', 'objectness_gain', 'auxiliary_gain', 'anchors', 'anchor_ratio', 'mixup',
        'teacher', 'teacher_gain', 'imitation_gain', 'slice', 'overlap', 'slice_only',
    },
    'segmentation': {'dice_gain'},
}  # fmt: skip


def parse_model_config(data: Mapping[str, Any], source: str | Path = '') -> ModelConfig:
    """The config of a detector or a segmenter, as its `task` says; without one, of a detector.

    Args:
        data: Field -> value.
        source: Name used in error messages.

    Raises:
        ValueError: As `mbv3zoo.config.base.Config.parse`, or there is no such task.
    """
    task = data.get('task', 'detection')
    if task not in [*CONFIGS]:
        raise ValueError(f'{source}: task is {task!r}, expected one of {", ".join(CONFIGS)}'.removeprefix(': '))
    return CONFIGS[task].parse(data, source)
