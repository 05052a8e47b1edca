"""What a check of a dataset finds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from mbv3zoo.data.detection_set import DetectionSet
from mbv3zoo.data.records import Record

Level = Literal['error', 'warning', 'note']
LEVELS: tuple[Level, ...] = ('error', 'warning', 'note')
# Examples of a finding.
MOST_SHOWN = 12

# Name of a split -> its records.
Splits = dict[str, DetectionSet]


class Example(NamedTuple):
    """One image of a finding.

    Attributes:
        record: The image and its labels.
        objects: Indices of the boxes that it is about; none for an image as a whole.
        caption: What is to be seen.
    """

    record: Record
    objects: Sequence[int]
    caption: str


@dataclass(frozen=True)
class Finding:
    """One thing that was found, however many images have it.

    Attributes:
        level: 'error' makes figures wrong or loses data, 'warning' costs accuracy, 'note' is worth knowing.
        name: What was looked for, in a few words.
        text: What was found, and what to do.
        count: Number of images, objects or labels.
        examples: The worst ones, at most 12.
        lines: Label problems, with file and line.
    """

    level: Level
    name: str
    text: str
    count: int
    examples: tuple[Example, ...] = ()
    lines: tuple[str, ...] = ()


def counted(count: int, thing: str) -> str:
    """'1 picture', '2 pictures', '3 boxes', '2 classes'."""
    ending = 'es' if thing.endswith(('x', 's')) else 's'
    return f'{count:,} {thing}{"" if count == 1 else ending}'


def share(part: int, whole: int) -> str:
    """'12 %', '0.3 %' of a whole that is not 0."""
    percent = 100 * part / whole
    return f'{percent:.0f} %' if percent >= 10 else f'{percent:.1f} %'
