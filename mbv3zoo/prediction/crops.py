"""Writes each object as an image of its own, in a folder of its class."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from mbv3zoo.detections import Detections
from mbv3zoo.images.read import read_image
from mbv3zoo.prediction.names import FreeNames, folder_names, image_suffix, stem_of, write_image
from mbv3zoo.utils.disk import make_folder
from mbv3zoo.utils.sizes import MAX_PIXELS


class Crops:
    """Cuts objects out into `crops/<class>/<image>_<n>.jpg`, n being the object's place in the row of its image.

    Args:
        folder: The folder of the results, which exists.
        class_names: The name of each class; what no folder may be called is replaced by `_`.
        pool: Where the work runs.
        max_pixels: Most pixels (width x height) of a file that is cut; see `mbv3zoo.images.read.read_image`.
    """

    def __init__(
        self, folder: Path, class_names: Sequence[str], pool: ThreadPoolExecutor, max_pixels: int = MAX_PIXELS
    ) -> None:
        self.folder, self._pool, self._max_pixels = folder / 'crops', pool, max_pixels
        self._folders, self._names = folder_names(class_names), FreeNames()

    def submit(self, detections: Detections, image: Any) -> Future[list[str]]:
        """Begins to cut an image up.

        Args:
            detections: They may name the image's file.
            image: What `mbv3zoo.images.read.read_image` takes.

        Returns:
            A future of the files' names in the folder, one per object; its exception says why there are none.
        """
        return self._pool.submit(self._cut, detections, image, self._names.take(stem_of(detections)))

    def _cut(self, detections: Detections, image: Any, stem: str) -> list[str]:
        if not len(detections):
            return []
        written = []
        crops = detections.crops(read_image(image, max_pixels=self._max_pixels))
        for number, (crop, label) in enumerate(zip(crops, detections.labels.tolist(), strict=True)):
            place = self.folder / self._folders[label]
            make_folder(place)
            path = place / f'{stem}_{number}{image_suffix(crop.size)}'
            write_image(path, crop, quality=95)
            written.append(path.relative_to(self.folder.parent).as_posix())
        return written
