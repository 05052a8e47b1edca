"""Labels that were not as they should be when they were read, and images without any."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from mbv3zoo.checks.findings import MOST_SHOWN, Example, Finding, Level, Splits, counted, share
from mbv3zoo.data.problems import NO_PICTURE, OUTCOMES

# Share of images without an object that is more than a few negatives.
_MANY = 0.5


def find_label_problems(splits: Splits) -> Iterator[Finding]:
    """What the reader of the format told: labels without an image, boxes outside of it, unknown classes."""
    for name, data in splits.items():
        alone = tuple(line for line in data.problems if any(mark in line for mark in NO_PICTURE))
        if alone:
            text = f'{counted(len(alone), "picture")} of {name} that labels are for and that are not there: {alone[0]}'
            yield Finding('warning', 'labels without pictures', text, len(alone), lines=alone)
        others = tuple(line for line in data.problems if line not in alone)
        if others:
            found = Counter(outcome for line in others for outcome in OUTCOMES if outcome in line)
            counts = ', '.join(f'{count:,} {outcome}' for outcome, count in found.items())
            text = f'{counted(len(others), "problem")} in the labels of {name}' + (f': {counts}' if counts else '')
            yield Finding('warning', 'label problems', text, len(others), lines=others)


def find_empty(splits: Splits) -> Iterator[Finding]:
    """Images without an object."""
    for name, data in splits.items():
        empty = [record for record in data.records if not len(record.labels)]
        if empty:
            text = f'{counted(len(empty), "picture")} of {name} ({share(len(empty), len(data))}) without an object'
            level: Level = 'warning' if len(empty) > _MANY * len(data) else 'note'
            if len(empty) == len(data):
                # A split to test on may be published without its labels.
                level = 'error' if name == 'train' else 'warning'
                text += '; there is nothing to learn from it or to count in it. Masks are not checked'
            elif level == 'warning':
                text += '; look whether their labels are missing'
            examples = tuple(Example(record, (), name) for record in empty[:MOST_SHOWN])
            yield Finding(level, 'pictures without objects', text, len(empty), examples)
