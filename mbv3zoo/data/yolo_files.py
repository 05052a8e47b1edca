"""The images of a YOLO split, and the label file of each."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path, PureWindowsPath

from mbv3zoo.data.files import FileLookup
from mbv3zoo.data.label_values import read_list
from mbv3zoo.data.problems import LabelProblems
from mbv3zoo.images.opening import IMAGE_SUFFIXES
from mbv3zoo.utils.files import find_file_names

# Folders of a path that is looked for in other places too; none of a tool has as many.
_DEEPEST = 64


def slashes(path: str) -> str:
    """A path with forward slashes, as datasets may be made on Windows."""
    return path.strip().replace('\\', '/')


class YoloFiles:
    """Lists the images of a split and finds their label files; what does not match is added to the problems."""

    def __init__(self, root: Path, data_yaml: Path, problems: LabelProblems) -> None:
        self.root, self.data_yaml, self.problems = root, data_yaml, problems
        self._lookup = FileLookup()
        # Label file -> image, and the folders in which each label file should have one. All are texts, as paths are
        # slow, and datasets have 100,000 files.
        self._pictures: dict[str, str] = {}
        self._label_folders: set[str] = set()
        self._unlabelled = ''

    def pictures(self, sources: list[str]) -> list[str]:
        """The images of folders and of text files of paths, each once.

        Raises:
            ValueError: A source is neither a folder nor a text file, or the text is not UTF-8.
        """
        found: dict[str, str] = {}
        for path in (path for source in sources for path in self._source(source)):
            if found.setdefault(os.path.abspath(path), path) is not path:
                self.problems.add(path, 'is listed more than once; taken once')
        return list(found.values())

    def label_file(self, picture: str) -> str | None:
        """The label file of an image, in any Unicode form of its name; None means no objects."""
        found = self._lookup.find_text(label_path(picture))
        if found is None and (real := os.path.realpath(picture)) != picture:
            # Linked images may have their labels where they are themselves.
            found = self._lookup.find_text(label_path(real))
        self._unlabelled = self._unlabelled or ('' if found else picture)
        if found and (first := self._pictures.setdefault(found, picture)) != picture:
            self.problems.add(found, f'is the label file of both {first} and {picture}; its boxes are used for both')
        return found

    def report_unused(self) -> None:
        """Adds a problem for each label file without an image, or one if no image has a label file."""
        used = self._pictures.keys()
        files = {file for folder in self._label_folders for file in find_file_names(folder, ['.txt'])} - used
        real = {os.path.realpath(file) for file in used} if files else set()
        for file in sorted(files):
            if os.path.realpath(file) not in real and holds_labels(file):
                self.problems.add(file, 'there is no picture of that name; not used')
        if self._unlabelled and not used:
            self.problems.add(
                self._unlabelled, f'has no label file {label_path(self._unlabelled)}, as no picture of the split has'
            )

    def _source(self, source: str) -> list[str]:
        place = find_source(self._lookup, self.root, source)
        if place is None:
            raise ValueError(
                f'{self.data_yaml}: {self.root / slashes(source)} is neither a folder nor a text file of paths'
            )
        if place.is_dir():
            paths = find_file_names(place, IMAGE_SUFFIXES)
            folders = {label_folder(folder) for folder in {str(place), *map(os.path.dirname, paths)}}
            self._label_folders |= {folder for folder in folders if os.path.isdir(folder)}
            return paths
        return [str(self._listed(place, slashes(row))) for row in read_list(place)]

    def _listed(self, file: Path, row: str) -> Path:
        """The image that a text file names: from its own folder where the row begins with a dot, else from the root."""
        path = (file.parent if row.startswith('.') else self.root) / row
        found = self._lookup.find(path)
        return found or _first(self._lookup.find, self.root, moved_paths(row, by_name=True)) or path


def find_source(lookup: FileLookup, root: Path, source: str) -> Path | None:
    """The folder of images or the text file of paths that a split names, or None."""
    # `images` alone may be that of another split.
    paths = [slashes(source), *moved_paths(source, by_name=False)]
    found = _first(lookup.find_folder, root, paths)
    file = found or _first(lookup.find, root, [slashes(source), *moved_paths(source, by_name=True)])
    return file if found or (file and file.suffix.lower() == '.txt') else None


def _first(find: Callable[[Path], Path | None], root: Path, paths: list[str]) -> Path | None:
    return next(filter(None, (find(root / path) for path in paths)), None)


def moved_paths(row: str, by_name: bool) -> list[str]:
    """What a path that was written for another folder may be here: without its first parts, as many as need be.

    CVAT writes `data/obj_train_data/a.jpg` for `obj_train_data/a.jpg`, Roboflow `../train/images` for `train/images`,
    and others all of a path on their own machine.

    Args:
        row: A path with any slashes.
        by_name: Of an absolute path, the name alone is enough.
    """
    slashed = slashes(row)
    parts = [part for part in slashed.split('/') if part not in ('', '.', '..')]
    if len(parts) > _DEEPEST:
        return []
    tails = [parts[i:] for i in range(0 if slashed.startswith('..') else 1, len(parts))]
    is_absolute = slashed.startswith('/') or bool(PureWindowsPath(slashed).drive)
    fewest = 1 if by_name and is_absolute else 2
    is_prefix = slashed.startswith(('../', 'data/'))
    return ['/'.join(tail) for i, tail in enumerate(tails) if len(tail) >= fewest or (i == 0 and is_prefix)]


def label_path(picture: str) -> str:
    """.../images/<rest>.jpg -> .../labels/<rest>.txt, at the last folder called images."""
    folder, name = os.path.split(picture)
    return os.path.join(label_folder(folder), f'{os.path.splitext(name)[0]}.txt')


def label_folder(folder: str) -> str:
    """The folder of the label files of a folder of images."""
    before, found, after = f'{os.sep}{folder}{os.sep}'.rpartition(f'{os.sep}images{os.sep}')
    return f'{before}{os.sep}labels{os.sep}{after}'[1:-1] if found else folder


def holds_labels(file: str | Path) -> bool:
    """Whether a text file is one of labels and not, say, of class names."""
    with open(file, 'rb') as opened:
        lines = opened.read(4096).decode('utf-8-sig', errors='replace').split('\n')
    words = next((line.split() for line in lines if line.strip()), [])
    try:
        return len([float(word) for word in words]) >= 5
    except ValueError:
        return False
