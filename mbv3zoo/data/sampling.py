"""How often each image of a training set is shown: rare classes more often, images without objects as is asked for."""

from __future__ import annotations

from typing import Any

import torch

from mbv3zoo.config.training import TrainConfig
from mbv3zoo.data.detection_set import DetectionSet
from mbv3zoo.data.masks import MaskSet
from mbv3zoo.images.masks import is_background


def image_weights(data: DetectionSet | MaskSet, config: TrainConfig) -> torch.Tensor | None:
    """How often each image is shown, relative to the others; None where all are shown once an epoch.

    Args:
        data: The training set, of N images.
        config: `balance` and `background_weight`.

    Returns:
        float64 [N]; `repeat_factors` of the classes with `balance` 'classes', else 1, and `background_weight` for
        images without an object.

    Raises:
        ValueError: All weights are 0.
    """
    images, labels = _classes_of_images(data)
    weights = torch.ones(len(data), dtype=torch.float64)
    if config.balance == 'classes':
        weights = repeat_factors(images, labels, len(data), len(data.class_names))
    background = torch.ones(len(data), dtype=torch.bool)
    background[images] = False
    weights[background] = config.background_weight
    if not weights.any():
        raise ValueError(f'background_weight is 0, and none of the {len(data)} training pictures has an object')
    return None if bool((weights == 1).all()) else weights


def repeat_factors(images: torch.Tensor, labels: torch.Tensor, count: int, num_classes: int) -> torch.Tensor:
    """Repeat factor of each image (Gupta et al., "LVIS", https://arxiv.org/abs/1908.03195, section 4.4).

    A class that a fraction f of the images has gets max(1, sqrt(t / f)), and an image the highest factor of its
    classes. t is the median of the fractions here, so that it suits 3 classes as well as 1200; LVIS has 0.001.

    Args:
        images, labels: int64 [M]; that image images[i] has class labels[i], each pair once.
        count: Number N of images.
        num_classes: Number of classes.

    Returns:
        float64 [N], 1 and above; 1 for images without a class.
    """
    share = torch.bincount(labels, minlength=num_classes).double() / max(count, 1)
    seen = share[share > 0]
    factors = (seen.quantile(0.5) / share).sqrt().clamp(min=1) if len(seen) else share
    return torch.ones(count, dtype=torch.float64).scatter_reduce(0, images, factors[labels], 'amax')


def draw_order(weights: torch.Tensor, seed: int) -> torch.Tensor:
    """Draws as many images as there are, each as often as its weight says (systematic resampling).

    Args:
        weights: float64 [N], 0 and above.
        seed: Of the random numbers.

    Returns:
        int64 [N], indices of images: with N weights of sum S, image i is in it N * weights[i] / S times, rounded down
        or up.
    """
    generator = torch.Generator().manual_seed(seed % 2**63)
    shuffled = torch.randperm(len(weights), generator=generator)
    ends = weights[shuffled].cumsum(0)
    points = (torch.arange(len(weights)) + torch.rand((), generator=generator)) * (ends[-1] / len(weights))
    # Rounding may put the last point at the end, behind which there is nothing.
    last = int(torch.nonzero(weights[shuffled])[-1])
    return shuffled[torch.searchsorted(ends, points, right=True).clamp(max=last)]


def _classes_of_images(data: DetectionSet | MaskSet) -> tuple[torch.Tensor, torch.Tensor]:
    """Pairs of an image and a class in it, each once."""
    if isinstance(data, MaskSet):
        objects = {label for label, name in enumerate(data.class_names) if not is_background(name)}
        found: Any = [(image, label) for image, each in enumerate(data.records) for label in each.classes & objects]
        pairs = torch.tensor(found, dtype=torch.int64).reshape(-1, 2)
    else:
        counted = ~data.records.iscrowd
        pairs = torch.stack([data.records.owners[counted], data.records.labels[counted]], 1).unique(dim=0)
    return pairs[:, 0], pairs[:, 1]
