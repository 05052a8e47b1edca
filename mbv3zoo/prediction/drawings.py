"""Writes images with what was found in them, in a thread of its own; one that fails does not stop the others."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from mbv3zoo.detections.found import Found
from mbv3zoo.images.read import read_image
from mbv3zoo.prediction.names import FreeNames, image_suffix, stem_of, write_image
from mbv3zoo.utils.sizes import MAX_PIXELS


class Drawings:
    """Draws results into files of a folder.

    Args:
        folder: The folder, which exists.
        pool: Where the drawing runs.
        max_pixels: Most pixels (width x height) of a file that is drawn on; see `mbv3zoo.images.read.read_image`.
    """

    def __init__(self, folder: Path, pool: ThreadPoolExecutor, max_pixels: int = MAX_PIXELS) -> None:
        self.folder, self._pool, self._max_pixels = folder, pool, max_pixels
        self._names = FreeNames()

    def submit(self, found: Found, image: Any) -> Future[str]:
        """Begins to draw what was found in an image.

        Args:
            found: It may name the image's file.
            image: What `mbv3zoo.images.read.read_image` takes.

        Returns:
            A future of the name of the file; its exception says why there is none.
        """
        name = self._names.take(stem_of(found), image_suffix(found.image_size))
        return self._pool.submit(self._draw, found, image, self.folder / name)

    def _draw(self, found: Found, image: Any, path: Path) -> str:
        write_image(path, found.draw(read_image(image, max_pixels=self._max_pixels)), quality=92)
        return path.name
