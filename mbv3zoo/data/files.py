"""Finds the images and label files of a dataset, whichever machine named them."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Collection
from pathlib import Path

from mbv3zoo.utils.files import find_files


def files_by_stem(folder: Path, suffixes: Collection[str]) -> dict[str, list[Path]]:
    """The files of `find_files` by their `stem_key`; several where images differ in their suffix only."""
    files: dict[str, list[Path]] = {}
    for path in find_files(folder, suffixes):
        files.setdefault(stem_key(path.relative_to(folder)), []).append(path)
    return files


def stem_key(path: str | Path) -> str:
    """A relative path without its suffix, with forward slashes, in one Unicode form."""
    return unicodedata.normalize('NFC', Path(path).with_suffix('').as_posix())


class FileLookup:
    """Finds files by paths that were written on another machine. Each folder is listed once.

    Names match in any Unicode form (macOS stores `ä` as `a` and a mark), and suffixes in any case. The name as it is
    written goes first.
    """

    def __init__(self) -> None:
        self._folders: dict[Path, Path | None] = {}
        self._names: dict[Path, tuple[set[str], dict[str, str]]] = {}

    def find(self, path: Path) -> Path | None:
        """The file that a path names, or None. Never raises, however long or odd the path is."""
        folder = self.find_folder(path.parent)
        name = folder and self._match(folder, path.name)
        # File systems that ignore case also know it by names that are not listed.
        found = folder / name if folder and name else path
        return found if os.path.isfile(found) else None

    def find_folder(self, path: Path) -> Path | None:
        """The folder that a path names, or None. Never raises either."""
        if path not in self._folders:
            found = next((place for place in (path, *path.parents) if os.path.isdir(place)), None)
            for part in path.relative_to(found).parts if found else ():
                name = found and self._match(found, part)
                found = found / name if found and name and os.path.isdir(found / name) else None
            self._folders[path] = found
        return self._folders[path]

    def _match(self, folder: Path, name: str) -> str | None:
        if folder not in self._names:
            try:
                names = sorted(os.listdir(folder))
            except OSError:
                names = []
            self._names[folder] = set(names), {_name_key(name): name for name in reversed(names)}
        exact, by_key = self._names[folder]
        return name if name in exact else by_key.get(_name_key(name))


def _name_key(name: str) -> str:
    stem, suffix = os.path.splitext(name)
    return unicodedata.normalize('NFC', stem + suffix.lower())
