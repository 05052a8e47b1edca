"""Reads animations (GIF, WebP, APNG, AVIF) frame by frame, as a page shows them."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Iterator
from itertools import count

import numpy as np

from mbv3zoo.images.opening import open_image, reason
from mbv3zoo.images.read import pil_to_rgb
from mbv3zoo.utils.sizes import MAX_PIXELS

# Others with several images in a file, such as TIFF and MPO, are no animations.
_FORMATS = frozenset(['AVIF', 'GIF', 'PNG', 'WEBP'])
# Seconds that a frame is shown which asks for less than the shortest, as browsers do.
_SHORTEST, _USUAL = 0.011, 0.1


def is_animation(path: str | os.PathLike) -> bool:
    """Whether a file is an image with several frames in time. One that cannot be read is none.

    Args:
        path: The file, of any suffix.
    """
    try:
        # The header says it: no pixels are decoded, however many they are.
        with open_image(path, sys.maxsize) as image:
            return image.format in _FORMATS and bool(getattr(image, 'is_animated', False))
    except ValueError:
        return False


def read_animation(path: str | os.PathLike, max_pixels: int = MAX_PIXELS) -> Iterator[tuple[float, np.ndarray]]:
    """The frames of an animation, whole: each is what is shown, drawn over those before it, and over white.

    A file that is damaged or cut off gives the frames before the damage, and a warning.

    Args:
        path: The file.
        max_pixels: Most pixels (width x height) of a frame.

    Yields:
        For each frame the time in seconds from which on it is shown, and its pixels, uint8 [H, W, 3], RGB.

    Raises:
        ValueError: It is no image, has more pixels, or its first frame cannot be decoded.
    """
    time = 0.0
    with open_image(path, max_pixels) as image:
        # Of an APNG, the image for programs that show no animations.
        first = int(bool(image.info.get('default_image')))
        for index in count(first):
            try:
                image.seek(index)
                pixels = np.array(pil_to_rgb(image))
            except EOFError:
                return
            except Exception as error:
                if index == first:
                    raise
                message = f'{os.fspath(path)}: is damaged after {index - first} frames, and ends there'
                warnings.warn(f'{message}: {reason(error)}', stacklevel=2)
                return
            yield time, pixels
            seconds = float(image.info.get('duration') or 0) / 1000
            time += seconds if seconds >= _SHORTEST else _USUAL
