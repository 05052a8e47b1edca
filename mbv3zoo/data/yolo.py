"""YOLO datasets: data.yaml, and one text file per image with lines `class cx cy w h` (or `class x1 y1 x2 y2 x3 y3 ...`
for a polygon), as fractions of its width and height."""

from __future__ import annotations

from pathlib import Path

import torch
from torchvision.ops import box_area

from mbv3zoo.data.records import DetectionSet, LabelProblems, Record, clean_boxes, find_split
from mbv3zoo.data.yolo_files import YoloFiles
from mbv3zoo.data.yolo_rows import Row, RowReader
from mbv3zoo.data.yolo_tree import YoloTree, read_data_yaml
from mbv3zoo.images.read import read_size
from mbv3zoo.utils.sizes import MAX_PIXELS


def load_yolo(data_yaml: str | Path, split: str, max_pixels: int = MAX_PIXELS) -> DetectionSet:
    """Reads one split of a YOLO dataset that a data.yaml describes (`read_data_yaml`), as `load_tree` does."""
    return load_tree(read_data_yaml(Path(data_yaml)), split, max_pixels)


def load_tree(tree: YoloTree, split: str, max_pixels: int = MAX_PIXELS) -> DetectionSet:
    """Reads one split of a YOLO dataset.

    A polygon becomes its bounding box. Where data.yaml has `kpt_shape`, the values after a box are keypoints, which are
    not used. Duplicate lines of a file are dropped. Names of files match in any Unicode form, their suffixes in any
    case; linked folders are entered, hidden files skipped. Label files without an image are told as problems.

    Args:
        tree: Where the images are, and what the classes are called.
        split: 'train', 'val' (also finds 'valid' and 'validation'), ...
        max_pixels: Most pixels of an image, as for `mbv3zoo.load_dataset`.

    Raises:
        ValueError: The split or its images are missing, or its rows have more columns than a box and are no outlines.
    """
    source, names = tree.source, tree.class_names
    key = find_split(split, tree.splits)
    if key is None:
        raise ValueError(f'{source}: has no split {split!r}; it names {list(tree.known)}')
    sources = tree.sources(key)
    problems = LabelProblems(source)
    files = YoloFiles(tree.root, source, problems)
    reader = RowReader(tree.keypoints, source, problems)
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
        split_text = f'split {key!r} ' if key else ''
        first = f'{len(problems.lines)} problems, such as {problems.lines[:1]}; ' if problems.lines else ''
        raise ValueError(
            f'{source}: {split_text}has no readable picture in {sources}; {first}put the pictures there, or export the '
            'labels with them'
        )
    reader.check()
    files.report_unused()
    problems.report()
    return DetectionSet(records, names, tuple(problems.lines))


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
