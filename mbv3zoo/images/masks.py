"""Masks: images whose pixels are indices of classes."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from mbv3zoo.images.colours import class_colour
from mbv3zoo.images.draw import draw_captions, fitting_font
from mbv3zoo.images.opening import open_image
from mbv3zoo.utils.sizes import MAX_PIXELS

# The value of pixels that are of no class: not learned from, nor counted.
IGNORE_INDEX = 255
# A class with a smaller share of an image has no caption.
_LEAST_SHARE = 0.001


def is_background(class_name: str) -> bool:
    """Whether a class is no object: of such pixels the image itself is shown."""
    return class_name.casefold() == 'background'


def indexed_image(labels: np.ndarray) -> Image.Image:
    """A label map uint8 [H, W] as an image with a palette, in which each class has its colour and 255 is white."""
    image = Image.fromarray(labels).convert('P')
    image.putpalette([part for label in range(IGNORE_INDEX) for part in class_colour(label)] + [255] * 3)
    return image


def mask_png(labels: np.ndarray) -> bytes:
    """`indexed_image` as a PNG file, from which `read_mask` reads the same labels."""
    content = io.BytesIO()
    indexed_image(labels).save(content, 'PNG')
    return content.getvalue()


def draw_labels(
    image: Image.Image, labels: np.ndarray, class_names: Sequence[str], opacity: float = 0.5, font_size: int = 0
) -> Image.Image:
    """An image with the classes of its pixels in their colours, each class with its name in the midst of it.

    Args:
        image: RGB.
        labels: uint8 [H, W]; 255, and a class called 'background', leaves the image as it is.
        class_names: One per class.
        opacity: Of the colours, 0..1.
        font_size: In pixels; 0 fits the image.

    Returns:
        A new RGB image.
    """
    shown = np.array([*(not is_background(name) for name in class_names), *[False] * (256 - len(class_names))])
    drawn = Image.blend(image, indexed_image(labels).convert('RGB'), opacity)
    drawn = Image.composite(drawn, image, Image.fromarray(shown[labels]))
    counts, captions = np.bincount(labels.ravel(), minlength=256), []
    for label in np.flatnonzero(shown & (counts > _LEAST_SHARE * labels.size)).tolist():
        rows = np.cumsum((labels == label).sum(1))
        row = int(np.searchsorted(rows, rows[-1] / 2))
        columns = np.flatnonzero(labels[row] == label)
        captions.append(((columns[len(columns) // 2], row) * 2, label, class_names[label]))
    draw_captions(drawn, captions, font_size or fitting_font(image))
    return drawn


def read_mask(path: Path, max_pixels: int = MAX_PIXELS) -> np.ndarray:
    """The label map uint8 [H, W] of a mask file: palette indices, or grey values.

    Raises:
        ValueError: It cannot be read, has no indices (RGB), is lossy (JPEG), or has values above 255.
    """
    with open_image(path, max_pixels) as image:
        # PIL spreads the values of grey PNGs of 2 and 4 bits over 0..255.
        step = next(({'L;2': 85, 'L;4': 17}.get(str(tile.args), 1) for tile in getattr(image, 'tile', ())), 1)
        format, mode, pixels = image.format, image.mode, np.asarray(image)
    if format == 'JPEG':
        raise ValueError(f'{path}: a JPEG changes the values of pixels; expected a PNG whose values are classes')
    if mode not in ('P', 'L', '1', 'I', 'I;16', 'I;16B'):
        raise ValueError(
            f'{path}: has colours ({mode}) and no palette; expected a PNG whose values are classes, indexed or grey, '
            'so save the index of each class in place of its colour'
        )
    if pixels.dtype != np.uint8 and pixels.size and (pixels.max() > IGNORE_INDEX or pixels.min() < 0):
        raise ValueError(
            f'{path}: has the value {pixels.max()}; expected classes up to 254, and {IGNORE_INDEX} for none'
        )
    return pixels.astype(np.uint8) // np.uint8(step)
