"""YOLO datasets without a data.yaml: Darknet's files, as CVAT writes them, and folders of images and label files."""

from __future__ import annotations

import os
from pathlib import Path

from mbv3zoo.data.coco_layout import split_of
from mbv3zoo.data.detection_set import SPLIT_NAMES
from mbv3zoo.data.files import FileLookup
from mbv3zoo.data.label_values import check_class_names, read_list
from mbv3zoo.data.yolo_files import holds_labels, label_folder, moved_paths, slashes
from mbv3zoo.data.yolo_tree import YoloTree
from mbv3zoo.utils.files import find_files

# Files of class names, one a line; the last is Roboflow's.
NAME_FILES = ('classes.txt', 'obj.names', 'labels.txt', 'names.txt', '_darknet.labels')
# Where they may be, best first: labelImg keeps one in each folder that it saves to.
_NAME_PLACES = ('', '*/', '*/*/')


def read_darknet(path: Path) -> YoloTree:
    """Reads Darknet's obj.data: `names = obj.names`, `train = train.txt`, `valid = valid.txt`.

    Its paths start from the folder that Darknet was started in, so they are looked for without their first parts too.

    Raises:
        ValueError: The file, or that of the names, is missing or something else.
    """
    rows = [row.partition('=') for row in read_list(path) if not row.lstrip().startswith('#')]
    data = {key.strip(): slashes(value) for key, equals, value in rows if equals}
    lookup = FileLookup()
    given = data.get('names', 'obj.names')
    names = next(filter(None, (lookup.find(path.parent / each) for each in (given, *moved_paths(given, True)))), None)
    names = names or lookup.find(path.parent / Path(given).name)
    if names is None:
        raise ValueError(f'{path}: its file of class names, {given}, is not there; write it, with one name a line')
    splits = {key: data[key] for key in SPLIT_NAMES if data.get(key)}
    if not splits and (path.parent / 'train.txt').is_file():
        splits = {'train': 'train.txt'}
    return YoloTree(path, path.parent, _names(names), splits)


def find_yolo_folders(folder: Path) -> YoloTree | None:
    """The dataset of a folder of images and label files, in one of the layouts that tools write:

    * `images/train`, `images/val` and `labels/train`, `labels/val`;
    * `train/images` and `train/labels`, or images and label files together in `train`; and so for other splits;
    * `images` and `labels`, or all files together in the folder, which is one split without a name.

    Raises:
        ValueError: There are label files, but the names of the classes are in no file, or in two that differ.
    """
    splits: dict[str, str] = {}
    for base in (folder / 'images', folder):
        for place in _folders(base):
            inner = place / 'images'
            inner = inner if inner.is_dir() else place
            if split_of(place.name) in SPLIT_NAMES and _first_labels(inner):
                splits.setdefault(place.name, inner.relative_to(folder).as_posix())
    if not splits:
        source = next((each for each in ('images', '.') if _first_labels(folder / each)), None)
        splits = {} if source is None else {'': source}
    if not splits:
        return None
    first = _first_labels(folder / next(iter(splits.values())))
    assert first is not None
    return YoloTree(folder, folder, _folder_names(folder, first), splits)


def _folders(place: Path) -> list[Path]:
    return sorted(each for each in place.iterdir() if each.is_dir()) if place.is_dir() else []


def _first_labels(images: Path) -> Path | None:
    """The first label file of a folder of images."""
    place = Path(label_folder(str(images)))
    files = find_files(place, ['.txt']) if images.is_dir() and place.is_dir() else []
    return next(filter(holds_labels, files), None)


def _folder_names(folder: Path, labels: Path) -> tuple[str, ...]:
    for root, place in [*((folder, place) for place in _NAME_PLACES), (folder.absolute().parent, '')]:
        files = [file for name in NAME_FILES for file in sorted(root.glob(place + name))]
        found = {file: _names(file) for file in files if file.is_file()}
        if len(set(found.values())) > 1:
            differ = ' and '.join(str(file.relative_to(root)) for file in found)
            raise ValueError(
                f'{folder}: {differ} name other classes; write one {folder / NAME_FILES[0]} that all labels go by'
            )
        if found:
            return next(iter(found.values()))
    raise ValueError(
        f'{folder}: has label files of YOLO, such as {os.path.relpath(labels, folder)}, but no file names the classes; '
        f'write {folder / NAME_FILES[0]} with one name a line, first that of class 0, such as "cat" and below it "dog"'
    )


def _names(file: Path) -> tuple[str, ...]:
    return check_class_names([row.strip() for row in read_list(file)], file)
