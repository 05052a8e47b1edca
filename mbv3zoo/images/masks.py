"""Masks: images whose pixels are indices of classes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from mbv3zoo.images.colours import class_colour
from mbv3zoo.images.opening import open_image
from mbv3zoo.utils.sizes import MAX_PIXELS

# The value of pixels that are of no class: not learned from, nor counted.
IGNORE_INDEX = 255


def indexed_image(labels: np.ndarray) -> Image.Image:
    """A label map uint8 [H, W] as an image with a palette, in which each class has its colour and 255 is white."""
    image = Image.fromarray(labels).convert('P')
    image.putpalette([part for label in range(IGNORE_INDEX) for part in class_colour(label)] + [255] * 3)
    return image


def read_mask(path: Path, max_pixels: int = MAX_PIXELS) -> np.ndarray:
    """The label map uint8 [H, W] of a mask file: palette indices, or grey values.

    Raises:
        ValueError: It cannot be read, has no indices (RGB), is lossy (JPEG), or has values above 255.
    """
    with open_image(path, max_pixels) as image:
        if image.format == 'JPEG':
            raise ValueError(f'{path}: a JPEG changes the values of pixels; expected a PNG whose values are classes')
        if image.mode not in ('P', 'L', '1', 'I', 'I;16', 'I;16B'):
            raise ValueError(
                f'{path}: has colours ({image.mode}) and no palette; expected a PNG whose values are classes, indexed '
                'or grey, so save the index of each class in place of its colour'
            )
        pixels = np.asarray(image)
    if pixels.dtype != np.uint8 and pixels.size and (pixels.max() > IGNORE_INDEX or pixels.min() < 0):
        raise ValueError(
            f'{path}: has the value {pixels.max()}; expected classes up to 254, and {IGNORE_INDEX} for none'
        )
    return pixels.astype(np.uint8)
