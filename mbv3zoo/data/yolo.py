"""YOLO data sets: data.yaml, and one text file a picture with `class cx cy w h` in shares of its sides."""

from __future__ import annotations

import os
from pathlib import Path

import torch
from torchvision.ops import box_area

from mbv3zoo.data.records import DetectionSet, LabelProblems, Record, clean_boxes
from mbv3zoo.images import IMAGE_SUFFIXES, read_size
from mbv3zoo.yaml_file import read_mapping


def load_yolo(data_yaml: str | Path, split: str) -> DetectionSet:
    """Reads one split of a YOLO data set.

    Args:
        data_yaml: The file with `names` (list or map), `path` (optional) and, for each split, a folder, a text file of
            paths, or a list of these.
        split: 'train', 'val', ...

    Raises:
        ValueError: The file, the split or its pictures are missing.
    """
    data_yaml = Path(data_yaml)
    data = _read_yaml(data_yaml)
    names = _class_names(data, data_yaml)
    if not data.get(split):
        known = [key for key in ('train', 'val', 'test') if data.get(key)]
        raise ValueError(f'{data_yaml}: has no split {split!r}; it names {known}')
    root = data_yaml.parent / (data.get('path') or '.')
    sources = data[split] if isinstance(data[split], list) else [data[split]]
    if not all(isinstance(source, str) for source in sources):
        raise ValueError(f'{data_yaml}: split {split!r} must be a path or a list of paths, given {data[split]!r}')
    problems = LabelProblems(data_yaml)
    paths = [path for source in sources for path in _pictures(root, source, data_yaml)]
    records = []
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
        raise ValueError(f'{data_yaml}: split {split!r} has no readable picture in {[str(root / s) for s in sources]}')
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
    if 'nc' in data and data['nc'] != len(names):
        raise ValueError(f'{path}: nc is {data["nc"]}, but `names` has {len(names)} names')
    return tuple(map(str, names))


def _pictures(root: Path, source: str, data_yaml: Path) -> list[Path]:
    place = root / source
    if place.is_dir():
        return sorted(p for p in place.rglob('*') if p.suffix.lower() in IMAGE_SUFFIXES)
    if place.suffix == '.txt' and place.is_file():
        rows = (row.strip() for row in place.read_text(encoding='utf-8').splitlines())
        return [place.parent / row if row.startswith('.') else root / row for row in rows if row]
    raise ValueError(f'{data_yaml}: {place} is neither a folder nor a text file of paths')


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
    # No file: there is nothing in the picture.
    text = path.read_text(encoding='utf-8', errors='replace') if path.is_file() else ''
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        place = f'{path}:{number}'
        try:
            label, *box = [float(value) for value in line.split()]
        except ValueError:
            label, box = 0.0, []
        if len(box) != 4:
            problems.add(place, f'{line[:60]!r} is not `class cx cy w h`; dropped')
        elif not (label.is_integer() and 0 <= label < num_classes):
            problems.add(place, f'class {label:g} is not one of 0 .. {num_classes - 1}; dropped')
        else:
            rows.append(box)
            labels.append(int(label))
            where.append(place)
    height, width = size
    center_box = torch.tensor(rows, dtype=torch.float32).reshape(-1, 4)
    center, side = center_box[:, :2], center_box[:, 2:]
    boxes = torch.cat([center - side / 2, center + side / 2], 1) * torch.tensor([width, height, width, height])
    boxes, keep = clean_boxes(boxes, size, where, problems)
    return boxes, torch.tensor(labels, dtype=torch.int64)[keep]
