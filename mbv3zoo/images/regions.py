"""Large image files that are read region by region, by GDAL: they need not fit into memory."""

from __future__ import annotations

import os
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self

import numpy as np
from PIL import ExifTags, Image
from PIL.TiffImagePlugin import TiffImageFile

from mbv3zoo.images.embedded import holding_file
from mbv3zoo.images.opening import open_image, orientation_of
from mbv3zoo.utils.packages import is_installed
from mbv3zoo.utils.quiet import without_warnings
from mbv3zoo.utils.sizes import MAX_PIXELS

# Images of fewer pixels are read whole, which is faster.
MANY_PIXELS = 25_000_000
# GDAL's name of the format, by PIL's. It reads a truncated PNG without a word.
_DRIVERS = {'JPEG': 'JPEG', 'MPO': 'JPEG', 'TIFF': 'GTiff'}
_OPTIONS = {
    # Holds the rows that two rows of tiles share.
    'GDAL_CACHEMAX': 256 * 2**20,
    # No files beside the image, which could change its pixels.
    'GDAL_DISABLE_READDIR_ON_OPEN': 'EMPTY_DIR',
    'GDAL_PAM_ENABLED': False,
    # A truncated file is an error, and no grey area.
    'GDAL_ERROR_ON_LIBJPEG_WARNING': True,
}


class UnreadableRegion(ValueError):
    """A file that was opened is damaged where it is read."""


class Regions:
    """An image file whose pixels are read where they are needed; a context manager.

    It has what `supervision.InferenceSlicer` takes in place of an array: `read`, `width`, `height` and `crs`.

    Attributes:
        shape: (height, width, channels).
    """

    crs = None

    def __init__(self, path: str, dataset: Any, channels: int) -> None:
        self.path, self._dataset, self._channels = path, dataset, channels
        self.height, self.width = dataset.height, dataset.width
        self.shape = self.height, self.width, channels

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: object, traceback: TracebackType | None) -> None:
        self._dataset.close()

    def read(self, window: Sequence[Sequence[int]] | None = None, scale: int = 1) -> np.ndarray:
        """Reads a region.

        Args:
            window: Its first row and that behind its last one, and so its columns; None for the whole image.
            scale: Each side is divided by it: pixels are means of scale x scale.

        Returns:
            uint8 [C, height, width]; the sides are rounded down, but for at least 1.

        Raises:
            UnreadableRegion: The file is damaged there; it is named.
        """
        import rasterio
        from rasterio.enums import Resampling

        options: dict[str, Any] = {'window': window and tuple(map(tuple, window))}
        if scale > 1:
            rows, columns = (slice_[1] - slice_[0] for slice_ in window or ((0, self.height), (0, self.width)))
            options |= {
                'out_shape': (self._dataset.count, max(rows // scale, 1), max(columns // scale, 1)),
                'resampling': Resampling.average,
            }
        try:
            with rasterio.Env(**_OPTIONS):
                pixels = self._dataset.read(**options)
        except rasterio.errors.RasterioError as error:
            why = str(error.__cause__ or error)
            raise UnreadableRegion(f'cannot read image file {self.path!r}: {why}') from error
        if len(pixels) == self._channels:
            return pixels
        if self._channels == 3:
            return np.repeat(pixels, 3, axis=0)
        return np.asarray(Image.fromarray(np.ascontiguousarray(pixels.transpose(1, 2, 0))).convert('L'))[None]

    def smaller(self, at_least: tuple[int, int]) -> np.ndarray:
        """The whole image at a half, a quarter, ... of its size.

        Args:
            at_least: (height, width) in pixels that it has at least, if the image has.

        Returns:
            uint8 [H, W, C].
        """
        scale = 1
        while self.height // (2 * scale) >= at_least[0] and self.width // (2 * scale) >= at_least[1]:
            scale *= 2
        return np.ascontiguousarray(self.read(scale=scale).transpose(1, 2, 0))


def open_regions(path: str | os.PathLike, channels: int = 3, max_pixels: int = MAX_PIXELS) -> Regions | None:
    """Opens a large image file that can be read by regions; None for others, which are read whole.

    These are JPEG files that are not progressive and TIFF files, of more than 25 million pixels of 8 bits, RGB or grey,
    upright, without transparency; if rasterio is installed.

    Args:
        path: The file.
        channels: 3 for RGB, 1 for grey.
        max_pixels: Most pixels (width x height) that it may have.

    Raises:
        ValueError: As `mbv3zoo.images.opening.open_image`.
    """
    if holding_file(path) != path:
        return None  # GDAL reads files
    with open_image(path, max_pixels) as image:
        size, mode, driver = image.size, image.mode, _DRIVERS.get(image.format or '')
        if image.width * image.height <= MANY_PIXELS or driver is None or not _is_plain(image):
            return None
    if not is_installed('rasterio'):
        return None
    import rasterio

    try:
        # Of images that are no maps.
        with rasterio.Env(**_OPTIONS), without_warnings():
            dataset = rasterio.open(os.path.abspath(path), driver=driver)
    except rasterio.errors.RasterioError:
        return None  # PIL says what is wrong
    bands = {'RGB': 3, 'L': 1}[mode]
    if (dataset.width, dataset.height) != size or dataset.count != bands or set(dataset.dtypes) != {'uint8'}:
        dataset.close()
        return None
    return Regions(os.fspath(path), dataset, channels)


def _is_plain(image: Image.Image) -> bool:
    """Whether an image's values are its pixels: without a palette, transparency, a turn, or passes over all of it."""
    if isinstance(image, TiffImageFile) and image.tag_v2.get(ExifTags.Base.PhotometricInterpretation) not in (1, 2, 6):
        return False
    marks = ('transparency', 'progressive', 'progression')
    return image.mode in ('RGB', 'L') and orientation_of(image) == 1 and not any(image.info.get(mark) for mark in marks)
