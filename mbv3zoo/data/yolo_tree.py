"""What a YOLO dataset is made of, and how a data.yaml says it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mbv3zoo.data.detection_set import SPLIT_NAMES
from mbv3zoo.data.files import FileLookup
from mbv3zoo.data.label_values import check_class_names
from mbv3zoo.data.yolo_files import find_source, slashes
from mbv3zoo.utils.yaml import read_mapping


@dataclass(frozen=True)
class YoloTree:
    """A YOLO dataset as its files describe it; nothing of it is read yet.

    Attributes:
        source: The file or folder that describes it; named in messages.
        root: The folder that its paths start from.
        class_names: One per class.
        splits: Split -> a folder of images or a text file of paths, or a list of these.
        keypoints: (number of keypoints, values of each) that follow each box, or None.
    """

    source: Path
    root: Path
    class_names: tuple[str, ...]
    splits: Mapping[str, Any]
    keypoints: tuple[int, int] | None = None

    @property
    def known(self) -> tuple[str, ...]:
        """The splits, of a data.yaml without what is none."""
        return tuple(name for name in self.splits if name in SPLIT_NAMES or not self._is_yaml)

    @property
    def _is_yaml(self) -> bool:
        return self.source.suffix.lower() in ('.yaml', '.yml')

    def sources(self, key: str) -> list[str]:
        """The folders and text files of a split.

        Raises:
            ValueError: They are no paths.
        """
        sources = self.splits[key] if isinstance(self.splits[key], list) else [self.splits[key]]
        if not all(isinstance(source, str) for source in sources):
            raise ValueError(
                f'{self.source}: split {key!r} must be a path or a list of paths, given {self.splits[key]!r}'
            )
        return sources

    def is_lost(self, key: str) -> bool:
        """Whether none of the folders and text files of a split is there."""
        sources = self.splits[key] if isinstance(self.splits[key], list) else [self.splits[key]]
        lookup = FileLookup()
        return not any(not isinstance(each, str) or find_source(lookup, self.root, each) for each in sources)


def read_data_yaml(path: Path) -> YoloTree:
    """Reads a data.yaml.

    It has `names` (list or map), `path` (optional) and, for each split, a folder, a text file of paths, or a list of
    these. They are relative to `path`, which is relative to the file's own folder; if `path` does not exist, as after a
    move, they are relative to the file's own folder.

    Raises:
        ValueError: The file is missing, or its entries are something else.
    """
    data = _read_yaml(path)
    splits = {key: value for key, value in data.items() if value}
    return YoloTree(path, _root(data, path), _class_names(data, path), splits, _keypoints(data, path))


def _read_yaml(path: Path) -> dict:
    if not path.is_file():
        raise ValueError(f'{path}: no such data set file; expected a YOLO data.yaml or a COCO .json')
    data = read_mapping(path)
    if 'names' not in data:
        raise ValueError(f'{path}: expected a mapping with `names`, `train` and `val`')
    return data


def _class_names(data: dict, path: Path) -> tuple[str, ...]:
    names = data['names']
    if isinstance(names, dict):
        if set(names) != set(range(len(names))):
            raise ValueError(f'{path}: keys of `names` must be 0 .. {len(names) - 1}, given {list(names)}')
        names = [names[i] for i in range(len(names))]
    if not isinstance(names, list) or not names:
        raise ValueError(f'{path}: `names` must be a list or map of class names, given {names!r}')
    # As text, which may be '3': names of exporters are.
    if str(data.get('nc', len(names))).strip() != str(len(names)):
        raise ValueError(f'{path}: nc is {data["nc"]}, but `names` has {len(names)} names')
    return check_class_names(names, path)


def _keypoints(data: dict, path: Path) -> tuple[int, int] | None:
    """(number of keypoints, values of each), or None."""
    shape = data.get('kpt_shape')
    if shape is None:
        return None
    if not isinstance(shape, list) or [type(value) for value in shape] != [int, int]:
        raise ValueError(f'{path}: `kpt_shape` must be [number of keypoints, 2 or 3], given {shape!r}')
    count, values = shape
    if count < 1 or values not in (2, 3):
        raise ValueError(f'{path}: `kpt_shape` must be [number of keypoints, 2 or 3], given {shape!r}')
    return count, values


def _root(data: dict, data_yaml: Path) -> Path:
    """The folder that the splits are relative to."""
    given = data.get('path')
    if not isinstance(given, str | None):
        raise ValueError(f'{data_yaml}: `path` must be a folder, given {given!r}')
    root = FileLookup().find_folder(data_yaml.parent / slashes(given or '.'))
    return root or data_yaml.parent
