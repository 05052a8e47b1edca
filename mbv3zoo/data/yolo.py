"""YOLO datasets: data.yaml, and one text file per image with lines `class cx cy w h` (or `class x1 y1 x2 y2 x3 y3 ...`
for a polygon), as fractions of its width and height."""

from __future__ import annotations

import os
from pathlib import Path

import torch
from torchvision.ops import box_area

from mbv3zoo.data.records import DetectionSet, LabelProblems, Record, clean_boxes, find_split
from mbv3zoo.images.read import IMAGE_SUFFIXES, read_size
from mbv3zoo.utils.yaml import read_mapping


def load_yolo(data_yaml: str | Path, split: str) -> DetectionSet:
    """Reads one split of a YOLO dataset.

    A polygon becomes its bounding box. Duplicate lines of a file are dropped.

    Args:
        data_yaml: The file with `names` (list or map), `path` (optional) and, for each split, a folder, a text file of
            paths, or a list of these. They are relative to `path`, which is relative to the file's own folder; if
            `path` does not exist, as after a move, they are relative to the file's own folder.
        split: 'train', 'val' (also finds 'valid' and 'validation'), ...

    Raises:
        ValueError: The file, the split or its images are missing.
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
    root = _root(data, data_yaml)
    problems = LabelProblems(data_yaml)
    paths = [path for source in sources for path in _pictures(root, source, data_yaml)]
    records: list[Record] = []
    for path in paths:
        try:
            size = read_size(path)[::-1]
        except ValueError as error:
            problems.add(str(path), f'left out: {error}')
            continue
        boxes, labels = _read_labels(_label_file(path), size, len(names), problems)
        no_crowd = torch.zeros(len(labels), dtype=torch.bool)
        records.append(Record(path, size, boxes, labels, box_area(boxes), no_crowd, len(records) + 1))
    if not records:
        raise ValueError(f'{data_yaml}: split {key!r} has no readable picture in {[str(root / s) for s in sources]}')
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
        names = {int(k) if isinstance(k, str) and k.isdecimal() else k: name for k, name in names.items()}
        if set(names) != set(range(len(names))):
            raise ValueError(f'{path}: keys of `names` must be 0 .. {len(names) - 1}, given {list(names)}')
        names = [names[i] for i in range(len(names))]
    if not isinstance(names, list) or not names:
        raise ValueError(f'{path}: `names` must be a list or map of class names, given {names!r}')
    if 'nc' in data and data['nc'] != len(names):
        raise ValueError(f'{path}: nc is {data["nc"]}, but `names` has {len(names)} names')
    return tuple(map(str, names))


def _root(data: dict, data_yaml: Path) -> Path:
    """The folder that the splits are relative to."""
    given = data.get('path') or '.'
    if not isinstance(given, str):
        raise ValueError(f'{data_yaml}: `path` must be a folder, given {given!r}')
    root = data_yaml.parent / _slashes(given)
    return root if root.is_dir() else data_yaml.parent


def _slashes(path: str) -> str:
    """A path with forward slashes, as datasets may be made on Windows."""
    return path.strip().replace('\\', '/')


def _pictures(root: Path, source: str, data_yaml: Path) -> list[Path]:
    source = _slashes(source)
    place = root / source
    if not place.exists() and source.startswith('../'):
        # Roboflow writes `../train/images` for the folder train/images beside the file.
        place = root / source.removeprefix('../')
    if place.is_dir():
        return sorted(p for p in place.rglob('*') if p.suffix.lower() in IMAGE_SUFFIXES)
    if place.suffix == '.txt' and place.is_file():
        rows = (_slashes(row) for row in place.read_text(encoding='utf-8').splitlines())
        return [place.parent / row if row.startswith('.') else root / row for row in rows if row]
    raise ValueError(f'{data_yaml}: {root / source} is neither a folder nor a text file of paths')


def _label_file(picture: Path) -> Path:
    """.../images/<rest>.jpg -> .../labels/<rest>.txt, at the last folder called images."""
    parts = list(picture.parts)
    for i in range(len(parts) - 1, -1, -1):
        if parts[i] == 'images':
            parts[i] = 'labels'
            break
    return Path(os.path.join(*parts)).with_suffix('.txt')


def _read_labels(
    path: Path, size: tuple[int, int], num_classes: int, problems: LabelProblems
) -> tuple[torch.Tensor, torch.Tensor]:
    rows, where, labels = [], [], []
    seen: dict[tuple[float, ...], int] = {}
    # No file means no objects.
    text = path.read_text(encoding='utf-8', errors='replace') if path.is_file() else ''
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        place = f'{path}:{number}'
        try:
            label, *shape = [float(value) for value in line.split()]
        except ValueError:
            label, shape = 0.0, []
        first = seen.setdefault((label, *shape), number)
        if len(shape) != 4 and (len(shape) < 6 or len(shape) % 2):
            problems.add(place, f'{line[:60]!r} is not `class cx cy w h`, nor `class` and a polygon; dropped')
        elif not (label.is_integer() and 0 <= label < num_classes):
            problems.add(place, f'class {label:g} is not one of 0 .. {num_classes - 1}; dropped')
        elif first != number:
            problems.add(place, f'repeats line {first}; dropped')
        else:
            rows.append(_corners(shape))
            labels.append(int(label))
            where.append(place)
    height, width = size
    shares = torch.tensor(rows, dtype=torch.float32).reshape(-1, 4)
    boxes, keep = clean_boxes(shares * torch.tensor([width, height, width, height]), size, where, problems)
    return boxes, torch.tensor(labels, dtype=torch.int64)[keep]


def _corners(shape: list[float]) -> list[float]:
    """cx cy w h, or the points of a polygon -> x1 y1 x2 y2."""
    if len(shape) == 4:
        center_x, center_y, width, height = shape
        return [center_x - width / 2, center_y - height / 2, center_x + width / 2, center_y + height / 2]
    points = torch.tensor(shape, dtype=torch.float64).reshape(-1, 2)
    # Unlike Python's min, amin propagates NaN.
    return torch.cat([points.amin(0), points.amax(0)]).tolist()
