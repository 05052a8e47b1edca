"""The layouts that a dataset's folder may have: one table, in the order in which they are looked for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from mbv3zoo.config.model import Task
from mbv3zoo.data.coco import load_coco, load_coco_masks
from mbv3zoo.data.coco_layout import IN_SPLIT, NOTES, coco_splits, find_coco, is_coco, only_coco
from mbv3zoo.data.detection_set import SPLIT_NAMES, VALIDATION_NAMES, DetectionSet, find_split
from mbv3zoo.data.foreign import foreign_file, found_in
from mbv3zoo.data.mask_folders import find_mask_folders, load_masks
from mbv3zoo.data.masks import MaskSet
from mbv3zoo.data.voc import load_voc
from mbv3zoo.data.voc_layout import LABEL_MAP, find_voc
from mbv3zoo.data.yolo import load_tree
from mbv3zoo.data.yolo_folders import NAME_FILES, find_yolo_folders, read_darknet
from mbv3zoo.data.yolo_tree import YoloTree, read_data_yaml

_Load = Callable[[Path, str | Path | None, int], Any]

_YAML = ('data.yaml', 'data.yml', 'dataset.yaml')
_DARKNET = ('.data', '.names')
# Folders of a dataset, which it may have alone.
_INNER = (*SPLIT_NAMES, 'annotations', 'images', 'labels', 'obj_train_data')
# Files that describe a dataset together with others in their folder.
_PARTS = (*NAME_FILES, NOTES, LABEL_MAP)


@dataclass(frozen=True)
class Found:
    """A dataset that was recognised.

    Attributes:
        kind: Its format: 'YOLO', 'COCO', 'Pascal VOC' or 'mask'.
        splits: Names of its splits; '' is one without a name.
        read: Reads a split, given its name, the folder of images, and the most pixels of an image.
    """

    kind: str
    splits: tuple[str, ...]
    read: Callable[[str, str | Path | None, int], Any]

    def split(self, asked: str) -> str | None:
        """The dataset's name for a split; None if it has no such split."""
        return find_split(asked, self.splits) if _whole(self.splits) is None else _whole(self.splits)


def undivided_split(splits: tuple[str, ...]) -> str | None:
    """The split to train on of a dataset without one for validation; None if it has one, or none to train on."""
    if find_split('val', splits):
        return None
    return next((name for name in ('train', 'trainval') if name in splits), _whole(splits))


def _whole(splits: tuple[str, ...]) -> str | None:
    """The one split whose name does not say what it is for; it is all there is. None if there is no such."""
    name = splits[0] if len(splits) == 1 else 'train'
    return None if name in SPLIT_NAMES else name


@dataclass(frozen=True)
class Layout:
    """How a dataset lies in a folder.

    Attributes:
        name: What is looked for, in errors and in docs/data.md.
        find: The dataset of a folder, or None if the folder has another layout.
    """

    name: str
    find: Callable[[Path], Found | None]


def _yolo(tree: YoloTree) -> Found:
    def read(split: str, images: str | Path | None, max_pixels: int) -> DetectionSet:
        return load_tree(tree, split, max_pixels)

    return Found('YOLO', tree.known, read)


def _data_yaml(path: Path) -> Found:
    tree = read_data_yaml(path)
    # Roboflow's names splits that are not there.
    splits = (name for name in tree.known if name not in VALIDATION_NAMES or not tree.is_lost(name))
    return replace(_yolo(tree), splits=tuple(splits))


def _yolo_yaml(folder: Path) -> Found | None:
    path = next((folder / name for name in _YAML if (folder / name).is_file()), None)
    return _data_yaml(path) if path else None


def _darknet(folder: Path) -> Found | None:
    files = sorted(folder.glob('*.data')) or sorted(folder.glob('data/*.data'))
    files = files or [file for file in [folder / 'obj.names'] if file.is_file() and (folder / 'train.txt').is_file()]
    return _yolo(read_darknet(files[0])) if files else None


def _coco_in_splits(folder: Path, load: _Load = load_coco) -> Found | None:
    files = {path.parent.name: path for path in sorted(folder.glob(f'*/{IN_SPLIT}'))}
    return _coco(folder, files, load) if files else None


def _coco_files(folder: Path, load: _Load = load_coco) -> Found | None:
    splits = coco_splits(folder)
    return _coco(folder, dict.fromkeys(splits, folder), load) if splits else None


def _coco_file(folder: Path, load: _Load = load_coco) -> Found | None:
    file = only_coco(folder)
    return _coco(folder, {'': file}, load) if file else None


def _coco(folder: Path, files: dict[str, Path], load: _Load) -> Found:
    def read(split: str, images: str | Path | None, max_pixels: int) -> Any:
        key = find_split(split, files)
        if key is None:
            raise ValueError(f'{folder}: has no split {split!r}; those of its COCO files are {list(files)}')
        file = files[key]
        if file.is_dir():
            found = find_coco(folder, key)
            assert found is not None
            file = found
        in_split = file.parent if file.name == IN_SPLIT else None
        return load(file, images or in_split, max_pixels)

    return Found('COCO', tuple(files), read)


def _voc(folder: Path) -> Found | None:
    found = find_voc(folder)

    def read(split: str, images: str | Path | None, max_pixels: int) -> DetectionSet:
        return load_voc(folder, split, max_pixels)

    return Found('Pascal VOC', tuple(name for name in found.splits if '_' not in name), read) if found else None


def _yolo_folders(folder: Path) -> Found | None:
    tree = find_yolo_folders(folder)
    return _yolo(tree) if tree else None


def _mask_folders(folder: Path) -> Found | None:
    found = find_mask_folders(folder)
    if found is None:
        return None
    splits, places = found

    def read(split: str, images: str | Path | None, max_pixels: int) -> MaskSet:
        key = find_split(split, places) or ''
        if key not in places:
            raise ValueError(f'{folder}: has no split {split!r}; it has {list(splits)}')
        return load_masks(folder, key, places[key], max_pixels)

    return Found('mask', splits, read)


LAYOUTS = (
    Layout('data.yaml', _yolo_yaml),
    Layout('obj.data and obj.names', _darknet),
    Layout(f'<split>/{IN_SPLIT}', _coco_in_splits),
    Layout('annotations/instances_<split>.json or <split>.json', _coco_files),
    Layout('Annotations/*.xml, or images and .xml side by side', _voc),
    Layout('images/ and labels/, or images and .txt side by side, with classes.txt', _yolo_folders),
    Layout('one COCO .json', _coco_file),
)


# Of masks.
MASK_LAYOUTS = (
    Layout('images/ and masks/, with a folder for each split or ImageSets/Segmentation/<split>.txt', _mask_folders),
    Layout(f'<split>/{IN_SPLIT}', partial(_coco_in_splits, load=load_coco_masks)),
    Layout('annotations/instances_<split>.json or <split>.json', partial(_coco_files, load=load_coco_masks)),
    Layout('one COCO .json', partial(_coco_file, load=load_coco_masks)),
)


def recognise(source: Path, task: Task = 'detection') -> Found:
    """The dataset that a file or folder names; of boxes, or of masks for 'segmentation'.

    Raises:
        ValueError: It is in no known format; the message says what was looked for, or what to do with the file.
    """
    suffix = source.suffix.lower()
    if source.is_dir():
        parts = ('labels',) if task == 'detection' else ('labels', 'masks', 'images')
        is_part = source.absolute().name in parts and (source.absolute().parent / 'images').is_dir()
        source = source.absolute().parent if is_part else source
        # An archive that was unpacked into a folder of its own.
        inner = [place for place in source.iterdir() if place.name[0] != '.' and place.name != '__MACOSX']
        if len(inner) == 1 and inner[0].is_dir() and inner[0].name.lower() not in _INNER:
            return recognise(inner[0], task)
        layouts = LAYOUTS if task == 'detection' else MASK_LAYOUTS
        for layout in layouts:
            if found := layout.find(source):
                return found
        looked = '; '.join(layout.name for layout in layouts)
        kind = 'data set' if task == 'detection' else 'data set with masks'
        raise ValueError(f'{source}: no {kind} is recognised in it, as {found_in(source)}; looked for {looked}')
    if task == 'segmentation' and not is_coco(source):
        return recognise(source.absolute().parent, task)
    if source.name in _PARTS or suffix == '.names':
        return recognise(source.absolute().parent)
    if suffix == '.data':
        return _yolo(read_darknet(source))
    if is_coco(source):
        return _coco(source.parent, {'': source}, load_coco if task == 'detection' else load_coco_masks)
    if what := foreign_file(source):
        raise ValueError(f'{source}: {what}')
    if suffix == '.txt':
        raise ValueError(f'{source}: is a list or a label file; give the folder that holds pictures and labels')
    return _data_yaml(source)
