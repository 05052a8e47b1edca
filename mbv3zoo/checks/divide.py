"""Divides a dataset into splits that have no pictures in common, without copying one."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Hashable, Sequence
from pathlib import Path

import numpy as np

from mbv3zoo.checks.duplicates import copies
from mbv3zoo.checks.pictures import look_at
from mbv3zoo.data.coco_writer import to_coco
from mbv3zoo.data.detection_set import DetectionSet
from mbv3zoo.data.hub_dataset import check_installed
from mbv3zoo.data.load import load_dataset, undivided
from mbv3zoo.data.share import split_dataset
from mbv3zoo.utils.atomic import staged
from mbv3zoo.utils.folders import claimed_folder
from mbv3zoo.utils.progress import bar
from mbv3zoo.utils.text import shown
from mbv3zoo.utils.union import Union


def divide(
    data: str | Path,
    out: str | Path,
    val: float,
    test: float | None = None,
    seed: int = 0,
    group_by: str | None = None,
    keep_copies_together: bool = True,
    images: str | Path | None = None,
    max_pixels: int | None = None,
) -> dict[str, int]:
    """Writes a COCO folder of two or three splits, whose files name the images where they are.

    Args:
        data: The dataset, as for `mbv3zoo.load_dataset`: one split.
        out: New folder.
        val, test: Fractions of the images, or of the groups.
        seed: Other seeds draw other images.
        group_by: Regular expression that is looked for in the path of each image: where its groups, or all of it,
            match the same text, images stay together.
        keep_copies_together: Whether images that are copies of one another, or nearly, stay together; each is decoded
            for that.
        images, max_pixels: As for `mbv3zoo.load_dataset`.

    Returns:
        Name of each split -> number of its images.

    Raises:
        ValueError: The dataset is divided already, or an argument is none that is listed here.
    """
    check_installed(str(data))
    pattern = _pattern(group_by)
    for fraction, value in (('val', val), ('test', test), ('val and test', val + (test or 0.0))):
        if value is not None and not 0 < value < 1:
            raise ValueError(f'{fraction} is {value:g}; expected a fraction above 0 and below 1, such as 0.2')
    name = undivided(data)
    if name is None:
        raise ValueError(f'{data}: has a split to validate on; expected one split, which is divided')
    with claimed_folder(out) as folder:
        whole = load_dataset(data, name or 'train', images, max_pixels)
        groups = group(whole, pattern, keep_copies_together)
        keys = dict(zip(whole.records.paths, groups, strict=True))

        def part(labelled: DetectionSet, share: float) -> tuple[DetectionSet, DetectionSet]:
            own = [keys[path] for path in labelled.records.paths]
            if len(own) > 1 and len(set(own)) == 1:
                raise ValueError(
                    f'{data}: {len(own)} pictures belong together, and cannot be divided: they match the same text, or '
                    'look nearly the same; give another --group-by, or --no-copies'
                )
            return split_dataset(labelled, share, seed, own)

        splits = {'train': whole}
        if test is not None:
            splits['train'], splits['test'] = part(whole, test)
        splits['train'], splits['val'] = part(splits['train'], val / (1 - (test or 0.0)))
        with staged(folder) as place:
            (place / 'annotations').mkdir()
            for split, labelled in splits.items():
                text = json.dumps(to_coco(labelled), ensure_ascii=False)
                (place / 'annotations' / f'instances_{split}.json').write_text(text + '\n', encoding='utf-8')
    return {split: len(labelled) for split, labelled in splits.items()}


def group(data: DetectionSet, key: Callable[[str], Hashable], keep_copies_together: bool) -> Sequence[Hashable]:
    """A key for each image; images with the same key stay together.

    Args:
        data: The dataset.
        key: Gives what images have in common by their path; None where one is alone.
        keep_copies_together: Whether copies and near copies have one key.
    """
    union = Union()
    every = union.new(len(data))
    first: dict[Hashable, int] = {}
    for i, path in enumerate(data.records.paths):
        own = key(Path(path).as_posix())
        if own is not None:
            union.join(every[[first.setdefault(own, i)]], every[[i]])
    if keep_copies_together:
        with bar(len(data), 'compare', things='images') as progress:
            looked = look_at({'all': data}, progress.update)
        for same in copies(looked):
            places = np.array([i for _, i in same])
            union.join(places[:-1], places[1:])
    return union.roots(every)


def _pattern(group_by: str | None) -> Callable[[str], Hashable]:
    if group_by is None:
        return lambda path: None
    try:
        pattern = re.compile(group_by)
    except re.error as error:
        raise ValueError(f'group_by is {shown(group_by)}, which is no regular expression: {error}') from error

    def key(path: str) -> Hashable:
        found = pattern.search(path)
        return found and (found.groups() or found[0])

    return key
