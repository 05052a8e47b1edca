"""Checks a dataset before it is trained on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np

from mbv3zoo.checks.classes import find_class_problems, find_uneven
from mbv3zoo.checks.duplicates import find_copies
from mbv3zoo.checks.findings import LEVELS, Finding, Splits, counted
from mbv3zoo.checks.labels import find_empty, find_label_problems
from mbv3zoo.checks.objects import LOST, find_doubles, find_small, find_thin
from mbv3zoo.checks.pictures import find_modes, find_odd_shapes, find_unreadable, look_at
from mbv3zoo.checks.table import Objects
from mbv3zoo.data.detection_set import DetectionSet
from mbv3zoo.data.hub_dataset import check_installed
from mbv3zoo.data.load import dataset_splits, load_dataset
from mbv3zoo.utils.progress import bar
from mbv3zoo.utils.sizes import parse_image_size
from mbv3zoo.utils.text import aligned_numbers, printable

# A split that has no name.
_UNNAMED = 'all'
_WIDTH = 28  # characters of a class name in a table


@dataclass(frozen=True)
class DatasetReport:
    """What a check of a dataset found; as text it is a table of its splits, and the findings.

    Attributes:
        source: The dataset, as it was given.
        splits: Name of a split -> its `DetectionSet`.
        findings: What was found, errors first.

    Example:
        >>> report = mbv3zoo.check_dataset('data.yaml', image_size=320)
        >>> list(report.splits), report.findings[0].level, report.findings[0].name
        (['train', 'val'], 'error', 'classes without objects')
    """

    source: str
    splits: Splits
    findings: tuple[Finding, ...]

    @property
    def ok(self) -> bool:
        """Whether there are no errors."""
        return all(finding.level != 'error' for finding in self.findings)

    def counts(self) -> list[list[str]]:
        """A table: the names of the splits, then images, objects, and the objects of each class.

        Example:
            >>> mbv3zoo.check_dataset('data.yaml').counts()[:2]
            [['', 'train', 'val'], ['pictures', '8', '4']]
        """
        objects = {name: Objects.of(data) for name, data in self.splits.items()}
        classes = next(iter(self.splits.values())).class_names
        labels = [np.bincount(each.label, minlength=len(classes)) for each in objects.values()]
        rows = [['', *self.splits], ['pictures', *(f'{len(data):,}' for data in self.splits.values())]]
        rows.append(['objects', *(f'{len(each.label):,}' for each in objects.values())])
        return rows + [[printable(name), *(f'{own[i]:,}' for own in labels)] for i, name in enumerate(classes)]

    def __str__(self) -> str:
        table = aligned_numbers([[name[:_WIDTH], *cells] for name, *cells in self.counts()])
        found = [printable(f'{finding.level}: {finding.text}') for finding in self.findings]
        return '\n'.join([*table, *found, self.summary()])

    def summary(self) -> str:
        """How many findings there are of each level.

        Example:
            >>> mbv3zoo.check_dataset('data.yaml').summary().split(', ')[0]
            '1 error'
        """
        numbers = {level: sum(finding.level == level for finding in self.findings) for level in LEVELS}
        return ', '.join(counted(number, level) for level, number in numbers.items() if number) or 'nothing was found'


def check_dataset(
    data: str | Path,
    image_size: int | tuple[int, int] = 640,
    val_data: str | Path | None = None,
    images: str | Path | None = None,
    val_images: str | Path | None = None,
    max_pixels: int | None = None,
) -> DatasetReport:
    """Looks for what costs accuracy or makes figures wrong: in the labels, the image files, and between the splits.

    Each image is decoded once. Looked for are images that cannot be read, copies and near copies within a split and in
    two splits, problems of the labels, images without objects, classes without objects or with few, objects that are
    too small at the input's size, labelled twice, or thin, images much wider or higher than the input, labels without
    an image, and images that are stored otherwise than the others.

    Args:
        data: The dataset, as for `mbv3zoo.load_dataset`; all its splits.
        image_size: Input size of the training in pixels: a side, or (height, width).
        val_data: The validation split, if it is not in `data`; then `data` is the training split.
        images, val_images: Folders of images of COCO files, as for `mbv3zoo.train`.
        max_pixels: Most pixels of an image, as for `mbv3zoo.load_dataset`.

    Raises:
        ValueError: There is no such dataset, or none of its splits can be read.

    Example:
        >>> report = mbv3zoo.check_dataset('data.yaml', image_size=320)
        >>> report.ok, report.findings[0].text.split(' without')[0]
        (False, '1 class')
    """
    size = parse_image_size(image_size)
    check_installed(str(data), str(val_data) if val_data else None)
    if val_data:
        places = {'train': (data, 'train', images), 'val': (val_data, 'val', val_images)}
    else:
        places = {name or _UNNAMED: (data, name or 'train', images) for name in dataset_splits(data)}
    splits: Splits = {}
    broken: list[Finding] = []
    for name, (source, split, folder) in places.items():
        try:
            splits[name] = load_dataset(source, split, folder, max_pixels)
        except ValueError as error:
            broken.append(Finding('error', 'split that cannot be read', f'split {name!r}: {error}', 1))
    if not splits:
        raise ValueError(broken[0].text)
    with bar(sum(map(len, splits.values())), 'check', things='images') as progress:
        found = _findings(splits, size, progress.update)
        findings = sorted(chain(broken, found), key=lambda finding: LEVELS.index(finding.level))
    return DatasetReport(str(data), splits, tuple(findings))


def quick_check(train_set: DetectionSet, size: tuple[int, int]) -> list[str]:
    """What a training should be told that it does not check itself: from the labels alone, no image is decoded.

    Args:
        train_set: What is trained on.
        size: (height, width) of the input in pixels.

    Returns:
        One sentence for each warning.
    """
    splits = {'train': train_set}
    found = chain(find_small(splits, size), find_doubles(splits), find_uneven(splits))
    return [finding.text for finding in found if finding.level == 'warning' and finding.name != LOST]


def _findings(splits: Splits, size: tuple[int, int], progress: Callable[[int], object]) -> Iterator[Finding]:
    looked = look_at(splits, progress)
    yield from find_unreadable(splits, looked)
    yield from find_copies(splits, looked)
    yield from find_class_problems(splits)
    yield from find_uneven(splits)
    yield from find_label_problems(splits)
    yield from find_doubles(splits)
    yield from find_small(splits, size)
    yield from find_empty(splits)
    yield from find_thin(splits)
    yield from find_odd_shapes(splits, size)
    yield from find_modes(splits, looked)
