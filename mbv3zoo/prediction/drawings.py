"""Writes images with their boxes, in a thread of its own; one that fails does not stop the others."""

from __future__ import annotations

import io
import os
import unicodedata
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import count
from pathlib import Path
from typing import Any

from mbv3zoo.detections import Detections
from mbv3zoo.images.read import read_image
from mbv3zoo.utils.sizes import MAX_PIXELS

# JPEG has no larger images, in pixels of a side; they are written as PNG.
_MOST_JPEG = 65_500
# Bytes of a stem, of the 255 that a name may have: what is left is for the number and the suffix.
_LONGEST_STEM = 240


class Drawings:
    """Draws detections into files of a folder.

    Args:
        folder: The folder, which exists.
        pool: Where the drawing runs.
        max_pixels: Most pixels (width x height) of a file that is drawn on; see `mbv3zoo.images.read.read_image`.
    """

    def __init__(self, folder: Path, pool: ThreadPoolExecutor, max_pixels: int = MAX_PIXELS) -> None:
        self.folder, self._pool, self._max_pixels = folder, pool, max_pixels
        self._taken: set[str] = set()

    def submit(self, detections: Detections, image: Any) -> Future[str]:
        """Begins to draw the detections of an image.

        Args:
            detections: They may name the image's file.
            image: What `mbv3zoo.images.read.read_image` takes.

        Returns:
            A future of the name of the file; its exception says why there is none.
        """
        stem = Path(detections.path).stem if detections.path else 'image'
        suffix = '.png' if max(detections.image_size) > _MOST_JPEG else '.jpg'
        return self._pool.submit(self._draw, detections, image, self.folder / self._free_name(stem, suffix))

    def _free_name(self, stem: str, suffix: str) -> str:
        """The first free name of stem.jpg, stem-2.jpg, ...: two folders may contain images of one name."""
        stem = _shortened(stem)
        for name in _names(stem, suffix):
            # Some file systems take names for the same that differ in case or in how letters are composed.
            same = unicodedata.normalize('NFC', name).casefold()
            if same not in self._taken:
                self._taken.add(same)
                return name
        raise AssertionError('there is always a next number')

    def _draw(self, detections: Detections, image: Any, path: Path) -> str:
        drawn = io.BytesIO()
        options = {'format': 'JPEG', 'quality': 92} if path.suffix == '.jpg' else {'format': 'PNG'}
        detections.draw(read_image(image, max_pixels=self._max_pixels)).save(drawn, **options)
        try:
            path.write_bytes(drawn.getbuffer())
        except BaseException:
            # Half an image is none.
            path.unlink(missing_ok=True)
            raise
        return path.name


def _names(stem: str, suffix: str) -> Iterator[str]:
    yield f'{stem}{suffix}'
    yield from (f'{stem}-{number}{suffix}' for number in count(2))


def _shortened(stem: str) -> str:
    while len(os.fsencode(stem)) > _LONGEST_STEM:
        stem = stem[:-1]
    return stem
