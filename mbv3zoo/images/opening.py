"""Opens image files: the one place that does, so that each is of a format and size that are expected."""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib import import_module

from PIL import ExifTags, Image, UnidentifiedImageError
from PIL.TiffImagePlugin import TiffImageFile

from mbv3zoo.images.bounded_file import BoundedFile, Unreadable
from mbv3zoo.images.embedded import holding_file
from mbv3zoo.utils.sizes import MAX_PIXELS

IMAGE_SUFFIXES = frozenset(
    ['.avif', '.bmp', '.gif', '.jfif', '.jpeg', '.jpg', '.pgm', '.png', '.ppm', '.tif', '.tiff', '.webp'],
)
# Longest side that is resized within reasonable memory: the antialiased filter is as long as the side.
MAX_SIDE = 1_000_000

# PIL's plug-ins that read files of these suffixes, and MPO with JPEG's. Others run programs, such as Ghostscript.
_PLUGINS = {
    'JPEG': 'Jpeg', 'PNG': 'Png', 'WEBP': 'WebP', 'BMP': 'Bmp', 'GIF': 'Gif', 'PPM': 'Ppm', 'TIFF': 'Tiff',
    'AVIF': 'Avif',
}  # fmt: skip


@contextmanager
def open_image(path: str | os.PathLike, max_pixels: int = MAX_PIXELS) -> Iterator[Image.Image]:
    """An image file, opened; its pixels are not decoded yet. Closed at the end.

    Args:
        path: A regular file in a format of `IMAGE_SUFFIXES`, whatever its own suffix is.
        max_pixels: Most pixels (width x height) that it may have. PIL's own limit does not count meanwhile.

    Raises:
        ValueError: It cannot be read, or has more pixels, which its header says. Whatever is raised while it is
            open is raised as this, too; the file is named.
    """
    try:
        _check_is_regular(path)
        with (
            _without_limit_of_pil,
            BoundedFile(path, max_pixels) as file,
            Image.open(file, formats=_formats()) as image,
        ):
            _check_size(image, max_pixels)
            if isinstance(image, TiffImageFile):
                _forget_odd_orientation(image)
            yield image
    # PIL's decoders raise whatever they trip over (OSError, SyntaxError, struct.error, zlib.error, MemoryError, ...).
    except Exception as error:
        raise ValueError(f'cannot read image file {os.fspath(path)!r}: {reason(error)}') from error


def pixel_limit(max_pixels: int | None) -> int:
    """The option `max_pixels`: what is asked for, or the default.

    Raises:
        ValueError: It is no whole number of at least 1.
    """
    if max_pixels is None:
        return MAX_PIXELS
    if not isinstance(max_pixels, int) or isinstance(max_pixels, bool) or max_pixels < 1:
        raise ValueError(
            f'max_pixels is {max_pixels!r}; expected the most pixels (width x height) of an image, a whole number >= 1'
        )
    return max_pixels


def orientation_of(image: Image.Image) -> int:
    """EXIF orientation 1..8; 1 (upright) where there is none, it is anything else or cannot be read."""
    try:
        # Past the override for PNG, which would decode the pixels to look for a late EXIF block.
        value = Image.Image.getexif(image).get(ExifTags.Base.Orientation, 1)
    except Exception:
        # The pixels are usually fine.
        return 1
    return value if type(value) is int and 1 <= value <= 8 else 1


def reason(error: Exception) -> str:
    """Why an image is not read, from what was raised."""
    if isinstance(error, Unreadable):
        return str(error)
    if isinstance(error, UnidentifiedImageError):
        formats = ', '.join(_formats())
        return f'it is not an image in a format that is read ({formats}), or is damaged; save it as PNG or JPEG'
    if isinstance(error, MemoryError):
        return 'there is not enough memory for its pixels; make it smaller'
    if isinstance(error, OSError) and error.strerror:
        return error.strerror[:1].lower() + error.strerror[1:]
    return f'{type(error).__name__}: {error}'


def _check_is_regular(path: str | os.PathLike) -> None:
    try:
        found = os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        holder = holding_file(path)
        if not os.path.isfile(holder):
            raise Unreadable('there is no such file') from None
        found = os.stat(holder)
    if stat.S_ISDIR(found.st_mode):
        raise Unreadable('it is a directory')
    # Others (pipes, sockets, devices) may wait for ever, or never end.
    if not stat.S_ISREG(found.st_mode):
        raise Unreadable('it is not a regular file, but a pipe, socket or device')
    if not found.st_size:
        raise Unreadable('it is not an image: the file is empty')


def _check_size(image: Image.Image, max_pixels: int) -> None:
    width, height = image.size
    if width * height > max_pixels:
        raise Unreadable(
            f'it has {width} x {height} = {width * height} pixels, more than {max_pixels}; make it smaller, or allow '
            'more with the option max_pixels'
        )
    if max(width, height) > MAX_SIDE:
        raise Unreadable(
            f'it has {width} x {height} pixels, and no side may be longer than {MAX_SIDE}; cut it into parts'
        )
    if isinstance(image, TiffImageFile):
        tile = [image.tag_v2.get(tag, 0) for tag in (ExifTags.Base.TileWidth, ExifTags.Base.TileLength)]
        if tile[0] * tile[1] > max(max_pixels, width * height):
            raise Unreadable(f'it is stored in tiles of {tile[0]} x {tile[1]} pixels, more than {max_pixels}')


def _forget_odd_orientation(image: TiffImageFile) -> None:
    # PIL turns TIFF by itself when it is loaded, also by a fraction that equals 6.
    exif = image.getexif()
    if ExifTags.Base.Orientation in exif and orientation_of(image) == 1:
        del exif[ExifTags.Base.Orientation]
        image._size = (image.tag_v2[ExifTags.Base.ImageWidth], image.tag_v2[ExifTags.Base.ImageLength])


@cache
def _formats() -> list[str]:
    for plugin in _PLUGINS.values():
        try:
            import_module(f'PIL.{plugin}ImagePlugin')
        except ImportError:
            # AVIF is new.
            continue
    return [name for name in _PLUGINS if name in Image.OPEN]


class _WithoutLimitOfPil:
    """While any thread is in it, PIL has no limit of its own, which would warn or raise below ours."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.inside = 0
        self.kept: int | None = None
        if hasattr(os, 'register_at_fork'):
            os.register_at_fork(after_in_child=self._leave_parent)

    def _leave_parent(self) -> None:
        # A process that is forked while another thread reads does not have that thread.
        self.lock = threading.Lock()
        if self.inside:
            self.inside, Image.MAX_IMAGE_PIXELS = 0, self.kept

    def __enter__(self) -> None:
        with self.lock:
            if not self.inside:
                self.kept, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
            self.inside += 1

    def __exit__(self, *_: object) -> None:
        with self.lock:
            self.inside -= 1
            if not self.inside:
                Image.MAX_IMAGE_PIXELS = self.kept


_without_limit_of_pil = _WithoutLimitOfPil()
