"""The images of a YOLO split, and the label file of each."""

from __future__ import annotations

import os
from pathlib import Path

from mbv3zoo.data.files import FileLookup
from mbv3zoo.data.label_values import read_list
from mbv3zoo.data.records import LabelProblems
from mbv3zoo.images.opening import IMAGE_SUFFIXES
from mbv3zoo.utils.files import find_files


def slashes(path: str) -> str:
    """A path with forward slashes, as datasets may be made on Windows."""
    return path.strip().replace('\\', '/')


class YoloFiles:
    """Lists the images of a split and finds their label files; what does not match is added to the problems."""

    def __init__(self, root: Path, data_yaml: Path, problems: LabelProblems) -> None:
        self.root, self.data_yaml, self.problems = root, data_yaml, problems
        self._lookup = FileLookup()
        # Label file -> image, and the folders in which each label file should have one.
        self._pictures: dict[Path, Path] = {}
        self._label_folders: set[Path] = set()
        self._unlabelled: Path | None = None

    def pictures(self, sources: list[str]) -> list[Path]:
        """The images of folders and of text files of paths, each once.

        Raises:
            ValueError: A source is neither a folder nor a text file, or the text is not UTF-8.
        """
        found: dict[str, Path] = {}
        for path in (path for source in sources for path in self._source(source)):
            if found.setdefault(os.path.abspath(path), path) is not path:
                self.problems.add(str(path), 'is listed more than once; taken once')
        return list(found.values())

    def label_file(self, picture: Path) -> Path | None:
        """The label file of an image, in any Unicode form of its name; None means no objects."""
        found = self._lookup.find(_label_path(picture))
        if found is None and (real := Path(os.path.realpath(picture))) != picture:
            # Linked images may have their labels where they are themselves.
            found = self._lookup.find(_label_path(real))
        self._unlabelled = self._unlabelled or (None if found else picture)
        if found and (first := self._pictures.setdefault(found, picture)) != picture:
            self.problems.add(
                str(found), f'is the label file of both {first} and {picture}; its boxes are used for both'
            )
        return found

    def report_unused(self) -> None:
        """Adds a problem for each label file without an image, or one if no image has a label file."""
        used = self._pictures.keys()
        files = {file for folder in self._label_folders for file in find_files(folder, ['.txt'])} - used
        real = {os.path.realpath(file) for file in used} if files else set()
        for file in sorted(files):
            if os.path.realpath(file) not in real and _holds_labels(file):
                self.problems.add(str(file), 'there is no picture of that name; not used')
        if self._unlabelled and not used:
            self.problems.add(
                str(self._unlabelled),
                f'has no label file {_label_path(self._unlabelled)}, as no picture of the split has',
            )

    def _source(self, source: str) -> list[Path]:
        source = slashes(source)
        place = self._lookup.find_folder(self.root / source)
        if place is None and source.startswith('../') and not os.path.exists(self.root / source):
            # Roboflow writes `../train/images` for the folder train/images beside the file.
            source = source.removeprefix('../')
            place = self._lookup.find_folder(self.root / source)
        if place:
            paths = find_files(place, IMAGE_SUFFIXES)
            folders = {_label_path(path).parent for path in [place / 'a.jpg', *paths]}
            self._label_folders |= {folder for folder in folders if os.path.isdir(folder)}
            return paths
        file = self._lookup.find(self.root / source)
        if file is None or file.suffix.lower() != '.txt':
            raise ValueError(f'{self.data_yaml}: {self.root / source} is neither a folder nor a text file of paths')
        rows = [slashes(row) for row in read_list(file)]
        paths = [(file.parent if row.startswith('.') else self.root) / row for row in rows]
        return [self._lookup.find(path) or path for path in paths]


def _label_path(picture: Path) -> Path:
    """.../images/<rest>.jpg -> .../labels/<rest>.txt, at the last folder called images."""
    parts = list(picture.parts)
    for i in range(len(parts) - 1, -1, -1):
        if parts[i] == 'images':
            parts[i] = 'labels'
            break
    return Path(os.path.join(*parts)).with_suffix('.txt')


def _holds_labels(file: Path) -> bool:
    """Whether a text file is one of labels and not, say, of class names."""
    with open(file, 'rb') as opened:
        lines = opened.read(4096).decode('utf-8-sig', errors='replace').split('\n')
    words = next((line.split() for line in lines if line.strip()), [])
    try:
        return len([float(word) for word in words]) >= 5
    except ValueError:
        return False
