"""YOLO datasets: data.yaml, and one text file per image with lines `class cx cy w h` (or `class x1 y1 x2 y2 x3 y3 ...`
for a polygon), as fractions of its width and height."""

from __future__ import annotations

from pathlib import Path

import torch
from torchvision.ops import box_area

from mbv3zoo.data.files import FileLookup
from mbv3zoo.data.label_values import check_class_names
from mbv3zoo.data.records import DetectionSet, LabelProblems, Record, clean_boxes, find_split
from mbv3zoo.data.yolo_files import YoloFiles, slashes
from mbv3zoo.data.yolo_rows import Row, RowReader
from mbv3zoo.images.read import read_size
from mbv3zoo.utils.sizes import MAX_PIXELS
from mbv3zoo.utils.yaml import read_mapping


def load_yolo(data_yaml: str | Path, split: str, max_pixels: int = MAX_PIXELS) -> DetectionSet:
    """Reads one split of a YOLO dataset.

    A polygon becomes its bounding box. Where data.yaml has `kpt_shape`, the values after a box are keypoints, which are
    not used. Duplicate lines of a file are dropped. Names of files match in any Unicode form, their suffixes in any
    case; linked folders are entered, hidden files skipped. Label files without an image are told as problems.

    Args:
        data_yaml: The file with `names` (list or map), `path` (optional) and, for each split, a folder, a text file of
            paths, or a list of these. They are relative to `path`, which is relative to the file's own folder; if
            `path` does not exist, as after a move, they are relative to the file's own folder.
        split: 'train', 'val' (also finds 'valid' and 'validation'), ...
        max_pixels: Most pixels of an image, as for `mbv3zoo.load_dataset`.

    Raises:
        ValueError: The file, the split or its images are missing, or its rows have more columns than a box and are no
            outlines.
    """
    data_yaml = Path(data_yaml)
    data = _read_yaml(data_yaml)
    names = _class_names(data, data_yaml)
    key = find_split(split, [key for key, value in data.items() if value])
    if key is None:
        known = [key for key in ('train', 'val', 'valid', 'validation', 'test') if data.get(key)]
        raise ValueError(f'{data_yaml}: has no split {split!r}; it names {known}')
    sources = data[key] if isinstance(data[key], list) else [data[key]]
    if not all(isinstance(source, str) for source in sources):
        raise ValueError(f'{data_yaml}: split {key!r} must be a path or a list of paths, given {data[key]!r}')
    problems = LabelProblems(data_yaml)
    files = YoloFiles(_root(data, data_yaml), data_yaml, problems)
    reader = RowReader(_keypoints(data, data_yaml), data_yaml, problems)
    records: list[Record] = []
    for path in files.pictures(sources):
        label_file = files.label_file(path)
        try:
            size = read_size(path, max_pixels)[::-1]
        except ValueError as error:
            problems.add(str(path), f'left out: {error}')
            continue
        # No file means no objects.
        rows = reader.read(label_file) if label_file else []
        if rows is not None:
            records.append(_record(path, size, rows, len(names), problems, len(records) + 1))
    if not records:
        raise ValueError(
            f'{data_yaml}: split {key!r} has no readable picture in {sources}; {len(problems.lines)} problems, such as '
            f'{problems.lines[:1]}'
        )
    reader.check()
    files.report_unused()
    problems.report()
    return DetectionSet(records, names, tuple(problems.lines))


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


def _record(
    path: Path, size: tuple[int, int], rows: list[Row], num_classes: int, problems: LabelProblems, image_id: int
) -> Record:
    known: list[Row] = []
    for row in rows:
        if row.label.is_integer() and 0 <= row.label < num_classes:
            known.append(row)
        else:
            problems.add(row.where, f'class {row.label:g} is not one of 0 .. {num_classes - 1}; dropped')
    height, width = size
    shares = torch.tensor([row.corners for row in known], dtype=torch.float32).reshape(-1, 4)
    where = [row.where for row in known]
    boxes, keep = clean_boxes(shares * torch.tensor([width, height, width, height]), size, where, problems)
    labels = torch.tensor([int(row.label) for row in known], dtype=torch.int64)[keep]
    return Record(path, size, boxes, labels, box_area(boxes), torch.zeros(len(labels), dtype=torch.bool), image_id)
