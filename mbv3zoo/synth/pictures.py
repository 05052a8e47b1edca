"""Reads a user's images, with errors that name the file."""

from pathlib import Path

from PIL import Image

from mbv3zoo.images.opening import open_image


def check_picture(path: Path) -> None:
    """Raise ``ValueError`` where ``path`` is not an image; only the header is read."""
    try:
        with open_image(path):
            pass
    except ValueError as error:
        raise _unreadable(path, error) from error


def read_picture(path: Path, mode: str, enough: tuple[int, int] | None = None) -> Image.Image:
    """Decode an image.

    Args:
        path: the file.
        mode: PIL mode of the result.
        enough: (width, height) in pixels needed; a larger JPEG is decoded at a fraction of its size.

    Raises:
        ValueError: the file cannot be read.
    """
    try:
        with open_image(path) as image:
            if enough is not None:
                image.draft(mode, enough)
            return image.convert(mode)
    except ValueError as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> ValueError:
    return ValueError(f'{str(path)!r} cannot be read as a picture ({error}); replace or remove it')
