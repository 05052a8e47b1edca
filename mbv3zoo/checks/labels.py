"""Labels that were not as they should be when they were read, and images without any."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from mbv3zoo.checks.findings import MOST_SHOWN, Example, Finding, Splits, counted, share
from mbv3zoo.data.problems import OUTCOMES

# Share of images without an object that is more than a few negatives.
_MANY = 0.5


def find_label_problems(splits: Splits) -> Iterator[Finding]:
    """What the reader of the format told: boxes outside the image, labels without one, unknown classes."""
    for name, data in splits.items():
        if data.problems:
            found = Counter(outcome for line in data.problems for outcome in OUTCOMES if outcome in line)
            counts = ', '.join(f'{count:,} {outcome}' for outcome, count in found.items())
            text = f'{counted(len(data.problems), "problem")} in the labels of {name}' + (
                f': {counts}' if counts else ''
            )
            yield Finding('warning', 'label problems', text, len(data.problems), lines=data.problems)


def find_empty(splits: Splits) -> Iterator[Finding]:
    """Images without an object."""
    for name, data in splits.items():
        empty = [record for record in data.records if not len(record.labels)]
        if empty:
            text = f'{counted(len(empty), "picture")} of {name} ({share(len(empty), len(data))}) without an object'
            many = len(empty) > _MANY * len(data)
            text += '; look whether their labels are missing' if many else ''
            examples = tuple(Example(record, (), name) for record in empty[:MOST_SHOWN])
            yield Finding('warning' if many else 'note', 'pictures without objects', text, len(empty), examples)
