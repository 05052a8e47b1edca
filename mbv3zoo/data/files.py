"""Finds the images and label files of a dataset, whichever machine named them."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Collection
from pathlib import Path

from mbv3zoo.utils.files import find_file_names


def files_by_stem(folder: Path, suffixes: Collection[str]) -> dict[str, list[str]]:
    """The files of `find_files` by their `stem_key`; several where images differ in their suffix only."""
    files: dict[str, list[str]] = {}
    root = os.path.join(folder, '') if str(folder) != os.curdir else ''
    for path in find_file_names(folder, suffixes):
        files.setdefault(stem_key(path.removeprefix(root)), []).append(path)
    return files


def stem_key(path: str | Path) -> str:
    """A relative path without its suffix, with forward slashes, in one Unicode form."""
    stem = os.path.splitext(path)[0].replace(os.sep, '/')
    return unicodedata.normalize('NFC', stem)


class FileLookup:
    """Finds files by paths that were written on another machine. Each folder is listed once.

    Names match in any Unicode form (macOS stores `ä` as `a` and a mark), and suffixes in any case. The name as it is
    written goes first.
    """

    def __init__(self) -> None:
        self._folders: dict[Path, Path | None] = {}
        # The same as texts: paths are slow, and datasets have 100,000 files.
        self._by_text: dict[str, str] = {}
        self._names: dict[str, set[str]] = {}
        self._keys: dict[str, dict[str, str]] = {}

    def find(self, path: Path) -> Path | None:
        """The file that a path names, or None. Never raises, however long or odd the path is."""
        found = self.find_text(os.fspath(path))
        return Path(found) if found else None

    def find_text(self, path: str) -> str | None:
        """As `find`, of texts."""
        head, name = os.path.split(path)
        if head not in self._by_text:
            self._by_text[head] = str(self.find_folder(Path(head)) or '')
        folder = self._by_text[head]
        known = folder and name and self._match(folder, name)
        # File systems that ignore case also know it by names that are not listed.
        found = os.path.join(folder, known) if folder and known else path
        return found if os.path.isfile(found) else None

    def find_folder(self, path: Path) -> Path | None:
        """The folder that a path names, or None. Never raises either."""
        if path not in self._folders:
            found = next((place for place in (path, *path.parents) if os.path.isdir(place)), None)
            for part in path.relative_to(found).parts if found else ():
                name = found and self._match(str(found), part)
                found = found / name if found and name and os.path.isdir(found / name) else None
            self._folders[path] = found
        return self._folders[path]

    def _match(self, folder: str, name: str) -> str | None:
        if folder not in self._names:
            self._names[folder] = set(_listed(folder))
        if name in self._names[folder]:
            return name
        if folder not in self._keys:
            self._keys[folder] = {_name_key(own): own for own in reversed(_listed(folder))}
        return self._keys[folder].get(_name_key(name))


def _listed(folder: str) -> list[str]:
    try:
        return sorted(os.listdir(folder))
    except OSError:
        return []


def _name_key(name: str) -> str:
    stem, suffix = os.path.splitext(name)
    return unicodedata.normalize('NFC', stem + suffix.lower())
