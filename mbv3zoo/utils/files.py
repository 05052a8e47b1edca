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
    return [Path(path) for path in find_file_names(folder, suffixes)]


def find_file_names(folder: str | Path, suffixes: Collection[str]) -> list[str]:
    """As `find_files`, as texts: making 100,000 paths takes a second."""
    found: list[str] = []
    seen: set[str] = set()
    # Folders come before links to them, as their labels go by the folder's own path.
    folders, links = [str(folder)], list[str]()
    while folders or links:
        place = folders.pop() if folders else links.pop()
        real = os.path.realpath(place)
        if real in seen:
            continue
        seen.add(real)
        try:
            with os.scandir(place) as listed:
                entries = sorted(listed, key=lambda entry: entry.name, reverse=True)
        except OSError as error:
            raise ValueError(
                f'{place}: the folder cannot be read ({error.strerror}); allow it, or move it away'
            ) from error
        for entry in entries:
            if entry.name.startswith('.') or entry.name in _NOT_DATA:
                continue
            if not _is_folder(entry):
                found += [_joined(place, entry.name)] if os.path.splitext(entry.name)[1].lower() in suffixes else []
            elif not entry.is_symlink():
                folders.append(_joined(place, entry.name))
            elif not Path(real).is_relative_to(os.path.realpath(entry.path)):
                links.append(_joined(place, entry.name))
    # As paths are sorted: folder by folder.
    return sorted(found, key=lambda path: path.split(os.sep))


def _joined(folder: str, name: str) -> str:
    return name if folder == os.curdir else os.path.join(folder, name)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads in a circle
        return False
