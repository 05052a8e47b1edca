"""Files: found below a folder, and known by their SHA-256."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Collection
from pathlib import Path

# Copies and thumbnails that programs keep beside files; others are hidden, as `.ipynb_checkpoints` and `._a.jpg`.
_NOT_DATA = frozenset(['__MACOSX', '@eaDir', '$RECYCLE.BIN'])


def file_digest(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal; it is read piece by piece."""
    with open(path, 'rb') as file:
        return hashlib.file_digest(file, 'sha256').hexdigest()


def find_files(folder: Path, suffixes: Collection[str]) -> list[Path]:
    """All files below a folder with one of the suffixes, sorted by path.

    Linked folders are entered, but none twice, and none that holds the link itself. Hidden files and folders are
    skipped, as are the copies that macOS, Windows and network drives keep.

    Args:
        folder: Where to look, hidden or not.
        suffixes: In lower case with the dot; a file's own may be in any case.

    Raises:
        ValueError: There is no such folder, or one in it may not be read.
    """
    found: list[Path] = []
    seen: set[str] = set()
    # Folders come before links to them, as their labels go by the folder's own path.
    folders, links = [Path(folder)], list[Path]()
    while folders or links:
        place = folders.pop() if folders else links.pop()
        real = os.path.realpath(place)
        if real in seen:
            continue
        seen.add(real)
        try:
            names = sorted(os.listdir(place), reverse=True)
        except OSError as error:
            raise ValueError(
                f'{place}: the folder cannot be read ({error.strerror}); allow it, or move it away'
            ) from error
        for name in names:
            path = place / name
            if name.startswith('.') or name in _NOT_DATA:
                continue
            if not os.path.isdir(path):
                found += [path] if path.suffix.lower() in suffixes else []
            elif not path.is_symlink():
                folders.append(path)
            elif not Path(real).is_relative_to(os.path.realpath(path)):
                links.append(path)
    return sorted(found)
