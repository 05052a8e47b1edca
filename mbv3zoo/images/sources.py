"""Expands a source (a file, a folder, a glob pattern, images in memory) into a list of single images."""

import fnmatch
import glob
import os
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from mbv3zoo.images.addresses import check_no_address
from mbv3zoo.images.opening import IMAGE_SUFFIXES
from mbv3zoo.utils.files import find_files
from mbv3zoo.utils.tensors import is_tensor

_EXPECTED = (
    'a path, a directory, a glob pattern, a PIL image, an array [H, W, C], a tensor [C, H, W] or '
    '[B, C, H, W], or a list of single images'
)


def expand_source(source: Any) -> tuple[list[Any], bool]:
    """Lists the images that a source names, without reading them.

    Args:
        source: one of

            * a path to a file, a `PIL.Image.Image`, an array `[H, W]` or `[H, W, C]`, a tensor
              `[C, H, W]`: one image;
            * an array `[B, H, W, C]` or a tensor `[B, C, H, W]`: one image for each index of B;
            * a list or tuple of paths, PIL images, arrays and tensors of one image each, in that order;
              an empty one gives an empty list;
            * a directory: what is in it but folders, of a suffix, in either case, in `IMAGE_SUFFIXES`, sorted by name;
            * a glob pattern such as `'photos/**/*.jpg'`: the matching files with such a suffix, sorted;
              `**` enters folders, linked ones too, each once. What exists under the literal name is taken first.

            Hidden files (`.name`) are skipped in directories and patterns.

    Returns:
        The items (paths as they were named, or images in memory), and whether the source was one image.

    Raises:
        ValueError: if a single file is missing, a directory or a pattern holds no image, or the source is
            of another kind or an address (https://, s3://, ...), also within a list. Files there are not looked at.
    """
    if isinstance(source, (str, os.PathLike)):
        return _expand_path(source)
    if isinstance(source, (list, tuple)):
        for index, item in enumerate(source):
            if not (isinstance(item, (str, os.PathLike, Image.Image, np.ndarray)) or is_tensor(item)):
                raise ValueError(
                    f'item {index} of the source list is a {type(item).__name__}; expected a path, '
                    'a PIL image, an array [H, W, C] or a tensor [C, H, W]'
                )
            check_no_address(item)
        return list(source), False
    in_memory = isinstance(source, np.ndarray) or is_tensor(source)
    if in_memory and source.ndim == 4:
        return list(source), False
    if in_memory or isinstance(source, Image.Image):
        return [source], True
    raise ValueError(f'cannot take pictures from {type(source).__name__}; expected {_EXPECTED}')


def _expand_path(source: str | os.PathLike) -> tuple[list[Any], bool]:
    name = os.fspath(source)
    if os.path.isdir(name):
        try:
            pictures = sorted(entry for entry in Path(name).iterdir() if _is_picture(entry))
        except OSError as error:
            raise ValueError(f'directory {name!r} cannot be listed: {error.strerror}') from error
        if not pictures:
            raise ValueError(f'directory {name!r} holds no pictures ({_suffixes()}) of its own')
        return pictures, False
    if os.path.exists(name):
        return [source], True
    check_no_address(source)
    if glob.has_magic(name):
        pictures = sorted(match for match in _matches(Path(name)) if _is_picture(match))
        if not pictures:
            raise ValueError(f'pattern {name!r} matches no pictures ({_suffixes()})')
        return pictures, False
    raise ValueError(f'there is no file or directory {name!r}; expected {_EXPECTED}')


def _matches(pattern: Path) -> list[Path]:
    """The files of a pattern; `glob` itself goes dozens of times through a linked folder that holds itself."""
    parts = pattern.parts
    if '**' not in parts:
        return [Path(match) for match in glob.glob(str(pattern))]
    folders, rest = Path(*parts[: parts.index('**')]), parts[parts.index('**') :]
    places = [Path(place) for place in glob.glob(str(folders)) if os.path.isdir(place)]
    files = [(path, place) for place in places for path in find_files(place, IMAGE_SUFFIXES)]
    return [path for path, place in files if _fits(path.relative_to(place).parts, rest)]


def _fits(parts: tuple[str, ...], pattern: tuple[str, ...]) -> bool:
    if not pattern:
        return not parts
    if pattern[0] == '**':
        return any(_fits(parts[i:], pattern[1:]) for i in range(len(parts) + 1))
    return bool(parts) and fnmatch.fnmatch(parts[0], pattern[0]) and _fits(parts[1:], pattern[1:])


def _is_picture(path: Path) -> bool:
    # Hidden files: `._name.jpg`, which macOS writes on other file systems, has the suffix but is no image.
    # Links to nothing, pipes and files that cannot be read are taken: reading them says what is wrong.
    return path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith('.') and not os.path.isdir(path)


def _suffixes() -> str:
    return ', '.join(sorted(IMAGE_SUFFIXES))
