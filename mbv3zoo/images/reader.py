"""Reads and letterboxes images a little ahead of the detector, in threads of their own."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from mbv3zoo.images.letterbox import Letterbox
from mbv3zoo.images.opening import reason
from mbv3zoo.images.read import read_image, read_size
from mbv3zoo.images.regions import MANY_PIXELS, Regions, open_regions
from mbv3zoo.utils.cores import usable_cores
from mbv3zoo.utils.sizes import MAX_PIXELS

# PIL decodes outside of Python's lock. More threads than this wait for the disk or for the detector.
_MOST_THREADS = 4


@dataclass(frozen=True)
class Picture:
    """One image for the detector: its letterboxed pixels, or the reason why there are none.

    Attributes:
        path: The file, where it came from one.
        letterbox: Where the image lies in its letterbox.
        pixels: uint8 [C, H, W].
        error: Why it could not be read.
        regions: In place of `pixels` a large file that keeps its own size; its regions are read later.
    """

    path: str | None
    letterbox: Letterbox | None = None
    pixels: np.ndarray | None = None
    error: str | None = None
    regions: Regions | None = None


def read_pictures(
    items: Sequence[Any],
    in_chans: int,
    image_size: tuple[int, int] | None,
    ahead: int,
    raise_unreadable: bool,
    max_pixels: int = MAX_PIXELS,
) -> Iterator[Picture]:
    """Images in the order of the items.

    Args:
        items: What `mbv3zoo.images.read.read_image` takes.
        in_chans: Channels of the detector's input.
        image_size: (height, width) of the letterbox in pixels; None leaves images at their own size.
        ahead: How many images are read before they are asked for, at most.
        raise_unreadable: Whether a damaged file raises too.
        max_pixels: Most pixels of a file, as for `read_image`.

    Raises:
        ValueError: An item is a mistake that every further item would repeat: an array of the wrong kind, or a file
            for a detector whose input is neither RGB nor grey.
    """
    if len(items) == 1:
        yield _read(items[0], in_chans, image_size, raise_unreadable, max_pixels, nullcontext())
        return
    pool = ThreadPoolExecutor(min(_MOST_THREADS, usable_cores()), 'mbv3zoo-read')
    waiting: deque = deque()
    one_at_a_time = threading.Lock()
    try:
        for item in items:
            options = (in_chans, image_size, raise_unreadable, max_pixels, one_at_a_time)
            waiting.append(pool.submit(_read, item, *options))
            if len(waiting) > ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _read(
    item: Any,
    in_chans: int,
    image_size: tuple[int, int] | None,
    raise_unreadable: bool,
    max_pixels: int,
    one_at_a_time: AbstractContextManager,
) -> Picture:
    is_file = isinstance(item, (str, os.PathLike))
    path = os.fspath(item) if is_file else None
    try:
        if is_file and in_chans in (1, 3):
            width, height = read_size(item, max_pixels)
            letterbox = Letterbox.fit((height, width), image_size or (height, width))
            if image_size is None and (regions := open_regions(item, in_chans, max_pixels)):
                return Picture(path, letterbox, regions=regions)
            # Decoding takes up to 30 bytes a pixel.
            with one_at_a_time if width * height > MANY_PIXELS else nullcontext():
                # A large JPEG is decoded at a half, a quarter or an eighth of its size, in a fraction of the time.
                pixels = read_image(item, in_chans, at_least=letterbox.resized, max_pixels=max_pixels)
                return Picture(path, letterbox, letterbox.apply_array(pixels))
        pixels = read_image(item, in_chans)
        letterbox = Letterbox.fit(pixels.shape[:2], image_size or pixels.shape[:2])
        return Picture(path, letterbox, letterbox.apply_array(pixels))
    except (ValueError, MemoryError) as error:
        # A damaged file is an accident in a large folder. An array of the wrong kind, or files for a detector
        # that does not take colours, are mistakes of the caller that every further item would repeat.
        text = str(error)
        if isinstance(error, MemoryError):
            text = f'cannot read {f"image file {path!r}" if is_file else "an image"}: {reason(error)}'
        if raise_unreadable or not (isinstance(item, (str, os.PathLike, Image.Image)) and in_chans in (1, 3)):
            raise ValueError(text) from error
        return Picture(path, error=text)
