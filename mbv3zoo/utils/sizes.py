"""Bounds of what a user may ask for: images, inputs, batches, processes and threads."""

from __future__ import annotations

import math
import operator
from typing import Any

from mbv3zoo.utils.text import shown

# Most pixels (width x height) of a file that is read. A photograph has 10 to 60 million; decoding takes up to 30 bytes
# for each, and a file of a few KB may hold any number.
MAX_PIXELS = 100_000_000
# Of a side of the input, in pixels.
LEAST_SIDE, MOST_SIDE = 32, 8192
# Most pixels that a batch of images holds, unless it is one image: one of the largest size, or 163 of 640 x 640.
MOST_PIXELS = MOST_SIDE * MOST_SIDE
# As many images of the least size.
MOST_IMAGES = MOST_PIXELS // LEAST_SIDE**2
# With more classes than these, a batch holds fewer pixels: there are 5 + K logits for every 16 pixels or so.
_USUAL_CLASSES = 128
# Processes that load data, threads of a runtime.
MOST_WORKERS = MOST_THREADS = 1024

# Fraction of a tile's side that the next tile has too, where images are cut into tiles.
TILE_OVERLAP = 0.2

# Boxes of an image; runtimes count them in 32 bits.
MOST_BOXES = 2**31 - 1

EXPECTED_SIZE = f'expected a side, or (height, width), of {LEAST_SIDE} to {MOST_SIDE} pixels'


def parse_image_size(value: Any, name: str = 'image_size') -> tuple[int, int]:
    """(height, width) in pixels of what was given: a side, or both.

    Args:
        value: A whole number for a square, or two of them, height first; each in 32..8192.
        name: Name used in the error message; '' where something else names the value.

    Raises:
        ValueError: It is something else.
    """
    sides = value if isinstance(value, (tuple, list)) else (value, value)
    numbers = tuple(_whole(side) for side in sides) if len(sides) == 2 else ()
    height, width = numbers or (None, None)
    if not (_is_side(height) and _is_side(width)):
        raise ValueError(f'{name} is {shown(value)}; {EXPECTED_SIZE}' if name else EXPECTED_SIZE)
    return height, width  # type: ignore[return-value]


def parse_size(text: str) -> tuple[int, int]:
    """(height, width) in pixels of a size as text: '320' -> (320, 320); '320x640', height first -> (320, 640).

    Raises:
        ValueError: It is neither, or a side is not in 32..8192.
    """
    sides = text.lower().split('x')
    if len(sides) <= 2 and all(side.strip().isdecimal() and len(side) < 9 for side in sides):
        size = int(sides[0]), int(sides[-1])
        if all(map(_is_side, size)):
            return size
    expected = 'expected a side such as 320, or HEIGHTxWIDTH such as 320x640'
    raise ValueError(f'size {shown(text)}: {expected}, of {LEAST_SIDE} to {MOST_SIDE} pixels')


def whole_number(value: Any, name: str, least: int, most: int) -> int:
    """A whole number in least..most, as an int.

    Raises:
        ValueError: It is something else; the sentence begins with `name`.
    """
    number = _whole(value)
    if number is None:
        expected = f'a whole number, {least} to {most}'
    elif number < least:
        expected = f'at least {least}'
    elif number > most:
        expected = f'at most {most}'
    else:
        return number
    raise ValueError(f'{name} is {shown(value)}; expected {expected}')


def share(value: Any, name: str) -> float:
    """A number in 0..1, as a float.

    Raises:
        ValueError: It is something else; the sentence begins with `name`.
    """
    number = finite_number(value)
    if number is None or not 0 <= number <= 1:
        raise ValueError(f'{name} is {shown(value)}; expected a number in 0..1')
    return number


def finite_number(value: Any) -> float | None:
    """A number as a float; None where it is something else, or not finite."""
    if isinstance(value, (bool, str, bytes)):
        return None
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def images_per_batch(batch_size: Any, image_size: tuple[int, int], num_classes: int = 1) -> int:
    """Images that are run at once: those asked for, or as many as `MOST_PIXELS` pixels hold, and at least one.

    Args:
        batch_size: What was asked for, 1..65536.
        image_size: (height, width) of each in pixels.
        num_classes: Number of classes; with many of them, the logits need more memory than the pixels.

    Raises:
        ValueError: The batch size is something else.
    """
    height, width = image_size
    asked = whole_number(batch_size, 'batch_size', 1, MOST_IMAGES)
    pixels = MOST_PIXELS * _USUAL_CLASSES // max(_USUAL_CLASSES, num_classes)
    return min(asked, max(1, pixels // (height * width)))


def _whole(value: Any) -> int | None:
    try:
        return None if isinstance(value, bool) else operator.index(value)
    except TypeError:
        return None


def _is_side(number: int | None) -> bool:
    return number is not None and LEAST_SIDE <= number <= MOST_SIDE
