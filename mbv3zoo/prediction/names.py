"""Names of files that results are written to: two folders may contain images of one name."""

from __future__ import annotations

import io
import os
import re
import unicodedata
from collections.abc import Iterator, Sequence
from itertools import count
from pathlib import Path
from typing import Any

from PIL import Image

from mbv3zoo.detections.found import Found
from mbv3zoo.utils.disk import naming_file
from mbv3zoo.utils.text import utf8

# Bytes of a stem, of the 255 that a name may have: what is left is for the number and the suffix.
_LONGEST_STEM = 240
# JPEG has no larger images, in pixels of a side; they are written as PNG.
_MOST_JPEG = 65_500
# What Windows takes for devices, whatever the suffix is.
_DEVICES = frozenset(['con', 'prn', 'aux', 'nul', *(f'{port}{n}' for port in ('com', 'lpt') for n in range(1, 10))])


class FreeNames:
    """Gives each name once, as the file systems tell names apart."""

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def take(self, stem: str, suffix: str = '') -> str:
        """The first free name of stem.jpg, stem-2.jpg, ..."""
        stem = _shortened(stem)
        for name in _numbered(stem, suffix):
            # Some file systems take names for the same that differ in case or in how letters are composed.
            same = unicodedata.normalize('NFC', name).casefold()
            if same not in self._taken:
                self._taken.add(same)
                return name
        raise AssertionError('there is always a next number')


def stem_of(found: Found) -> str:
    """What the files of an image are called: as its own, or 'image' where it came from memory."""
    return Path(found.path).stem if found.path else 'image'


def folder_names(class_names: Sequence[str]) -> list[str]:
    """For each class the name of a folder, in which no name leaves the folder it is in, on any system.

    Example:
        >>> folder_names(['cat', '../dog', 'Cat', ''])
        ['cat', '.._dog', 'Cat-2', '_']
    """
    names = FreeNames()
    return [names.take(_as_folder(name)) for name in class_names]


def image_suffix(size: Sequence[int]) -> str:
    """'.jpg', or '.png' for an image with a longer side than JPEG has, given both sides in pixels."""
    return '.png' if max(size) > _MOST_JPEG else '.jpg'


def write_image(path: Path, image: Image.Image, quality: int) -> None:
    """Writes an image whole, or not at all, in the format of its suffix; JPEG in this quality, 0..100."""
    content = io.BytesIO()
    options: dict[str, Any] = {'format': 'JPEG', 'quality': quality} if path.suffix == '.jpg' else {'format': 'PNG'}
    image.save(content, **options)
    write_whole(path, content.getbuffer())


def write_whole(path: Path, content: bytes | memoryview) -> None:
    """Writes a file, or leaves none: half an image is none."""
    try:
        path.write_bytes(content)
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def write_named(path: Path, content: str | bytes) -> None:
    """As `write_whole`, a text as UTF-8; an error names the file."""
    with naming_file(path):
        write_whole(path, utf8(content) if isinstance(content, str) else content)


def _as_folder(name: str) -> str:
    text = ''.join(character if character.isprintable() else '_' for character in name)
    text = _shortened(re.sub(r'[/\\:*?"<>|]', '_', text)).strip().rstrip('. ') or '_'
    return f'{text}_' if text.partition('.')[0].casefold() in _DEVICES else text


def _numbered(stem: str, suffix: str) -> Iterator[str]:
    yield f'{stem}{suffix}'
    yield from (f'{stem}-{number}{suffix}' for number in count(2))


def _shortened(stem: str) -> str:
    while len(os.fsencode(stem)) > _LONGEST_STEM:
        stem = stem[:-1]
    return stem
