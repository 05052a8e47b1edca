"""YOLO datasets: data.yaml, and one text file per image with lines `class cx cy w h` (or `class x1 y1 x2 y2 x3 y3 ...`
for a polygon), as fractions of its width and height."""

from __future__ import annotations

from array import array
from pathlib import Path

import numpy as np
import torch
from torchvision.ops import box_area

from mbv3zoo.data.cleaning import clean_boxes
from mbv3zoo.data.columns import Texts, offsets
from mbv3zoo.data.detection_set import DetectionSet, find_split
from mbv3zoo.data.image_sizes import stored_sizes
from mbv3zoo.data.index import indexed
from mbv3zoo.data.problems import LabelProblems
from mbv3zoo.data.records import Records
from mbv3zoo.data.yolo_files import YoloFiles
from mbv3zoo.data.yolo_rows import Row, RowReader
from mbv3zoo.data.yolo_tree import YoloTree, read_data_yaml
from mbv3zoo.images.read import upright_size
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
    pictures = files.pictures(sources)
    label_files = [files.label_file(path) for path in pictures]
    files.report_unused()

    def read() -> DetectionSet:
        reader = RowReader(tree.keypoints, source, problems)
        labels = _Labels()
        for path, label_file, stored in zip(pictures, label_files, stored_sizes(pictures, max_pixels), strict=True):
            if isinstance(stored, ValueError):
                problems.add(path, f'left out: {stored}')
                continue
            # No file means no objects.
            rows = reader.read(Path(label_file)) if label_file else []
            if rows is not None:
                labels.add(path, label_file, upright_size(*stored), rows)
        records = labels.records(len(names), problems)
        if not records:
            split_text = f'split {key!r} ' if key else ''
            first = f'{len(problems.lines)} problems, such as {problems.lines[:1]}; ' if problems.lines else ''
            raise ValueError(
                f'{source}: {split_text}has no readable picture in {sources}; {first}put the pictures there, or export '
                'the labels with them'
            )
        reader.check()
        return DetectionSet(records, names, tuple(problems.lines))

    # What was found so far is part of the result, and does not show in the files that are read.
    facts = ['YOLO', str(source), key, names, tree.keypoints, max_pixels, list(problems.lines)]
    return indexed(source, facts, [file for file in label_files if file], pictures, read)


class _Labels:
    """Images and their rows, as columns."""

    def __init__(self) -> None:
        self.paths: list[str] = []
        self.files: list[str | None] = []
        self.sizes, self.counts, self.lines = array('q'), array('q'), array('q')
        self.classes, self.shares = array('d'), array('d')

    def add(self, path: str, label_file: str | None, size: tuple[int, int], rows: list[Row]) -> None:
        """Adds an image of this (width, height)."""
        self.paths.append(path)
        self.files.append(label_file)
        self.sizes.extend(reversed(size))
        self.counts.append(len(rows))
        for row in rows:
            self.classes.append(row.label)
            self.shares.extend(row.corners)
            self.lines.append(row.line)

    def records(self, num_classes: int, problems: LabelProblems) -> Records:
        """The records; rows of unknown classes and boxes outside their images are dropped, with a problem."""
        sizes = torch.from_numpy(np.array(self.sizes)).reshape(-1, 2)
        counts, classes = (torch.from_numpy(np.array(each)) for each in (self.counts, self.classes))
        owners = torch.repeat_interleave(torch.arange(len(counts)), counts)

        def place(row: int) -> str:
            return f'{self.files[int(owners[row])]}:{self.lines[row]}'

        is_known = (classes == classes.floor()) & (classes >= 0) & (classes < num_classes)
        for row in torch.nonzero(~is_known).flatten().tolist():
            problems.add(place(row), f'class {classes[row]:g} is not one of 0 .. {num_classes - 1}; dropped')
        rows = torch.nonzero(is_known).flatten()
        own_sizes = sizes[owners[rows]]
        shares = torch.from_numpy(np.array(self.shares)).float().reshape(-1, 4)[rows]
        boxes, keep = clean_boxes(
            shares * own_sizes.flip(1).repeat(1, 2), own_sizes, lambda i: place(int(rows[i])), problems
        )
        rows, boxes = rows[keep], boxes[keep]
        return Records(
            Texts.of(self.paths),
            sizes,
            offsets(torch.bincount(owners[rows], minlength=len(counts))),
            boxes,
            classes[rows].long(),
            box_area(boxes),
            torch.zeros(len(rows), dtype=torch.bool),
            torch.arange(1, len(counts) + 1),
        )
