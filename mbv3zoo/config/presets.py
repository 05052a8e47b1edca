"""What the names of training presets stand for. A setting that is given itself overrides its preset.

`mbv3zoo.config.training.TrainConfig` explains the fields.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypedDict


class Recipe(TypedDict):
    """What an optimizer sets."""

    lr: float
    momentum: float
    weight_decay: float


class Gains(TypedDict):
    """What a loss sets."""

    box_gain: float
    class_gain: float
    objectness_gain: float


class Augmentation(TypedDict):
    """What an augmentation sets."""

    mosaic: float
    mixup: float
    scale: float
    translate: float
    degrees: float
    flip: float
    color: float
    brightness: float
    contrast: float
    saturation: float
    hue: float
    gray: float
    blur: float
    noise: float


_MUON: Recipe = {'lr': 0.02, 'momentum': 0.95, 'weight_decay': 0.02}
_SGD: Recipe = {'lr': 0.1, 'momentum': 0.9, 'weight_decay': 5e-4}
# The first one, whose rate is the most careful, is the recipe of every optimizer that is not named here.
OPTIMIZERS: dict[str, Recipe] = {
    'adamw': {'lr': 4e-3, 'momentum': 0.9, 'weight_decay': 0.05},
    # With and without Nesterov momentum.
    'nmuon': _MUON,
    'muon': _MUON,
    # timm's names for one optimizer.
    'sgd': _SGD,
    'nesterov': _SGD,
    'momentum': _SGD,
}

# YOLOv5's loss scales its gains further, by classes and image size.
LOSSES: dict[str, Gains] = {
    'yolov5': {'box_gain': 0.05, 'class_gain': 0.5, 'objectness_gain': 1.0},
    'simota': {'box_gain': 2.0, 'class_gain': 1.0, 'objectness_gain': 1.0},
}

AUGMENTATIONS: dict[str, Augmentation] = {
    'none': {
        'mosaic': 0.0, 'mixup': 0.0, 'scale': 0.0, 'translate': 0.0, 'degrees': 0.0, 'flip': 0.0,
        'color': 0.0, 'brightness': 0.0, 'contrast': 0.0, 'saturation': 0.0, 'hue': 0.0, 'gray': 0.0, 'blur': 0.0,
        'noise': 0.0,
    },
    # For short trainings, and for training images much like those to be predicted.
    'light': {
        'mosaic': 0.0, 'mixup': 0.0, 'scale': 0.5, 'translate': 0.0, 'degrees': 0.0, 'flip': 0.5,
        'color': 0.5, 'brightness': 0.4, 'contrast': 0.0, 'saturation': 0.5, 'hue': 0.0, 'gray': 0.0, 'blur': 0.0,
        'noise': 0.0,
    },
    'medium': {
        'mosaic': 0.5, 'mixup': 0.0, 'scale': 0.5, 'translate': 0.0, 'degrees': 0.0, 'flip': 0.5,
        'color': 0.8, 'brightness': 0.4, 'contrast': 0.3, 'saturation': 0.5, 'hue': 0.015, 'gray': 0.02, 'blur': 0.1,
        'noise': 0.1,
    },
    # For hundreds of epochs, when a detector begins to overfit.
    'heavy': {
        'mosaic': 1.0, 'mixup': 0.15, 'scale': 0.8, 'translate': 0.1, 'degrees': 5.0, 'flip': 0.5,
        'color': 1.0, 'brightness': 0.5, 'contrast': 0.5, 'saturation': 0.7, 'hue': 0.03, 'gray': 0.05, 'blur': 0.2,
        'noise': 0.2,
    },
}  # fmt: skip

# By the field of TrainConfig that names them.
PRESETS: dict[str, Mapping[str, Mapping[str, object]]] = {
    'optimizer': OPTIMIZERS,
    'loss': LOSSES,
    'augmentation': AUGMENTATIONS,
}
