"""Where a Pascal VOC dataset keeps its images, its XML files, its splits and its class names."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from unicodedata import normalize

from mbv3zoo.data.detection_set import find_split
from mbv3zoo.data.files import files_by_stem
from mbv3zoo.data.label_values import is_class_name, read_list
from mbv3zoo.images.opening import IMAGE_SUFFIXES

_NAME_FILES = ('classes.txt', 'labels.txt')
# CVAT's, with a colour, parts and actions after each name; its first row is no class of objects.
LABEL_MAP, _BACKGROUND = 'labelmap.txt', 'background'
_XML = frozenset(['.xml'])
# VOC's own names first.
_XML_FOLDERS = ('Annotations', 'annotations', 'Labels', 'labels', 'xml', 'xmls')
_PICTURE_FOLDERS = ('JPEGImages', 'images', 'Images', 'img', '.')
# By their relative path without suffix.
Files = dict[str, list[str]]


@dataclass(frozen=True)
class VocFolder:
    """The folders of a Pascal VOC dataset.

    Attributes:
        folder: The dataset's.
        annotations, pictures: Where XML files and images are, of all splits; None where each split has a folder.
        splits: Split -> the file that lists its images, or its folder; None for all there is, which has no name.
    """

    folder: Path
    annotations: Path | None
    pictures: Path | None
    splits: dict[str, Path | None]

    def files(self, split: str) -> tuple[Files, Files, list[str], list[str]]:
        """Images and XML files by name, the names of a split, and the XML files of all splits.

        Raises:
            ValueError: There is no such split.
        """
        key = find_split(split, self.splits)
        # What has no name is the same for all.
        if key is None and '' not in self.splits:
            raise ValueError(f'{self.folder}: has no split {split!r}; {self._known()}')
        place = self.splits[key or '']
        if self.annotations is None or self.pictures is None:
            assert place is not None
            pictures, xml_files = _by_name(place, IMAGE_SUFFIXES), _by_name(place, _XML)
            every = [_by_name(other, _XML) for other in self.splits.values() if other]
        else:
            pictures, xml_files = _by_name(self.pictures, IMAGE_SUFFIXES), _by_name(self.annotations, _XML)
            every = [xml_files]
        every_xml = [path for files in every for paths in files.values() for path in paths]
        if self.annotations and place:
            return pictures, xml_files, [_stem(row, xml_files) for row in _rows(place)], every_xml
        return pictures, xml_files, sorted(pictures.keys() | xml_files.keys()), every_xml

    def _known(self) -> str:
        names = [name for name in self.splits if '_' not in name]
        return (
            f'{_lists(self.folder)} lists {names}' if self.annotations else f'folders in it with XML files are {names}'
        )


def find_voc(folder: Path) -> VocFolder | None:
    """The dataset of a folder in one of the layouts that tools write, else None:

    * `Annotations/`, `JPEGImages/` and `ImageSets/Main/<split>.txt`; without lists, all images are one split;
    * `<split>/` with images and XML files side by side;
    * images and XML files side by side in the folder itself, which is one split too.
    """
    # By its listing, as macOS ignores case and COCO has a folder `annotations`.
    names = {entry.name for entry in folder.iterdir()}
    annotations = next((folder / name for name in _XML_FOLDERS if name in names and _holds_xml(folder / name)), None)
    # Empty ones are told as such.
    if 'Annotations' in names and not any((folder / 'Annotations').glob('*.json')):
        annotations = folder / 'Annotations'
    if annotations:
        pictures = next(folder / name for name in _PICTURE_FOLDERS if name in names or name == '.')
        main = _lists(folder)
        lists = sorted(main.iterdir()) if main.is_dir() else []
        # There are also files of one class each, `cat_train.txt`, with a second column.
        splits = {path.stem: path for path in lists if path.suffix.lower() == '.txt'}
        return VocFolder(folder, annotations, pictures, dict(splits) or {'': None})
    if _has_xml(folder):
        return VocFolder(folder, folder, folder, {'': None})
    places = [folder / name for name in sorted(names) if not name.startswith('.')]
    found = {place.name: place for place in places if place.is_dir() and _has_xml(place)}
    return VocFolder(folder, None, None, dict(found)) if found else None


def listed_classes(folder: Path) -> tuple[str, ...]:
    """The classes of a file of names in a folder; none without such a file.

    Raises:
        ValueError: It names one twice, or something that is no name.
    """
    for file in (folder / name for name in (*_NAME_FILES, LABEL_MAP)):
        if file.is_file():
            names = [row.strip() for row in read_list(file)]
            if file.name == LABEL_MAP:
                rows = [row.split(':')[0].strip() for row in names if not row.startswith('#')]
                names = [row for row in rows if row != _BACKGROUND]
            if not names or len(set(names)) < len(names) or not all(map(is_class_name, names)):
                raise ValueError(f'{file}: expected names of classes, one a line, each once; given {names[:20]}')
            return tuple(names)
    return ()


def _lists(folder: Path) -> Path:
    return folder / 'ImageSets' / 'Main'


def _has_xml(place: Path) -> bool:
    """Whether XML files are in a folder itself."""
    return place.is_dir() and any(file.suffix.lower() in _XML and file.name[0] != '.' for file in place.iterdir())


def _holds_xml(place: Path) -> bool:
    """Whether XML files are anywhere below a folder."""
    return place.is_dir() and next(place.rglob('*.[xX][mM][lL]'), None) is not None


def _rows(file: Path) -> list[str]:
    """The names of images in a list, in the Unicode form of the names of `files_by_stem`."""
    return [normalize('NFC', row).strip().replace('\\', '/') for row in read_list(file)]


def _stem(row: str, known: Collection[str]) -> str:
    """The name in a row of a list. Some lists have a second column or suffixes; some names have a space in them."""
    first = row.split()[0]
    candidates = [row, row.strip('"'), first]  # CVAT puts names with a space in quotes
    for text in (row, first):
        stem, _, suffix = text.rpartition('.')
        candidates += [stem] if f'.{suffix.lower()}' in IMAGE_SUFFIXES else []
    return next((name for name in candidates if name in known), candidates[-1])


def _by_name(folder: Path, suffixes: Collection[str]) -> Files:
    """Files below a folder by their relative path without suffix."""
    return files_by_stem(folder, suffixes) if folder.is_dir() else {}
