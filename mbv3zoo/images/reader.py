"""Reads and letterboxes images a little ahead of the detector, in threads of their own."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from mbv3zoo.images.letterbox import Letterbox
from mbv3zoo.images.read import read_image, read_size

# PIL decodes outside of Python's lock. More threads than this wait for the disk or for the detector.
_MOST_THREADS = 4


@dataclass(frozen=True)
class Picture:
    """One image for the detector: either its letterboxed pixels or the reason why there are none.

    Attributes:
        path: The file, where it came from one.
        letterbox: Where the image lies in its letterbox.
        pixels: uint8 [C, H, W].
        error: Why it could not be read.
    """

    path: str | None
    letterbox: Letterbox | None = None
    pixels: np.ndarray | None = None
    error: str | None = None


def read_pictures(
    items: Sequence[Any], in_chans: int, image_size: tuple[int, int], ahead: int, raise_unreadable: bool
) -> Iterator[Picture]:
    """Images in the order of the items.

    Args:
        items: What `mbv3zoo.images.read.read_image` takes.
        in_chans: Channels of the detector's input.
        image_size: (height, width) of the letterbox in pixels.
        ahead: How many images are read before they are asked for, at most.
        raise_unreadable: Whether a damaged file raises too.

    Raises:
        ValueError: An item is a mistake that every further item would repeat: an array of the wrong kind, or a file
            for a detector whose input is neither RGB nor grey.
    """
    if len(items) == 1:
        yield _read(items[0], in_chans, image_size, raise_unreadable)
        return
    pool = ThreadPoolExecutor(min(_MOST_THREADS, os.cpu_count() or 1), 'mbv3zoo-read')
    waiting: deque = deque()
    try:
        for item in items:
            waiting.append(pool.submit(_read, item, in_chans, image_size, raise_unreadable))
            if len(waiting) > ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _read(item: Any, in_chans: int, image_size: tuple[int, int], raise_unreadable: bool) -> Picture:
    is_file = isinstance(item, (str, os.PathLike))
    path = os.fspath(item) if is_file else None
    try:
        if is_file and in_chans in (1, 3):
            width, height = read_size(item)
            letterbox = Letterbox.fit((height, width), image_size)
            # A large JPEG is decoded at a half, a quarter or an eighth of its size, in a fraction of the time.
            pixels = read_image(item, in_chans, at_least=letterbox.resized)
        else:
            pixels = read_image(item, in_chans)
            letterbox = Letterbox.fit(pixels.shape[:2], image_size)
    except ValueError as error:
        # A damaged file is an accident in a large folder. An array of the wrong kind, or files for a detector
        # that does not take colours, are mistakes of the caller that every further item would repeat.
        if raise_unreadable or not (isinstance(item, (str, os.PathLike, Image.Image)) and in_chans in (1, 3)):
            raise
        return Picture(path, error=str(error))
    return Picture(path, letterbox, letterbox.apply_array(pixels))
