"""Writes images with their boxes, in a thread of its own; one that fails does not stop the others."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from mbv3zoo.detections import Detections
from mbv3zoo.images.read import read_image
from mbv3zoo.prediction.names import FreeNames, image_suffix, stem_of, write_image
from mbv3zoo.utils.sizes import MAX_PIXELS


class Drawings:
    """Draws detections into files of a folder.

    Args:
        folder: The folder, which exists.
        pool: Where the drawing runs.
        max_pixels: Most pixels (width x height) of a file that is drawn on; see `mbv3zoo.images.read.read_image`.
    """

    def __init__(self, folder: Path, pool: ThreadPoolExecutor, max_pixels: int = MAX_PIXELS) -> None:
        self.folder, self._pool, self._max_pixels = folder, pool, max_pixels
        self._names = FreeNames()

    def submit(self, detections: Detections, image: Any) -> Future[str]:
        """Begins to draw the detections of an image.

        Args:
            detections: They may name the image's file.
            image: What `mbv3zoo.images.read.read_image` takes.

        Returns:
            A future of the name of the file; its exception says why there is none.
        """
        suffix = image_suffix(detections.image_size)
        return self._pool.submit(
            self._draw, detections, image, self.folder / self._names.take(stem_of(detections), suffix)
        )

    def _draw(self, detections: Detections, image: Any, path: Path) -> str:
        write_image(path, detections.draw(read_image(image, max_pixels=self._max_pixels)), quality=92)
        return path.name
