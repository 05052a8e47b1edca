"""Classes without examples, or with far fewer than others."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from mbv3zoo.checks.findings import Finding, Splits, counted
from mbv3zoo.checks.table import Objects
from mbv3zoo.data.detection_set import VALIDATION_NAMES

# Objects of a class that a detector can hardly learn from.
FEW = 10
# The most frequent class divided by the rarest.
UNEVEN = 100
_NAMED = 5


def find_class_problems(splits: Splits) -> Iterator[Finding]:
    """Other classes in another split, and classes with no object or few."""
    first, data = next(iter(splits.items()))
    names = np.array(data.class_names, object)
    for name, other in splits.items():
        if other.class_names != data.class_names:
            text = (
                f'the classes of {name} are {_listed(other.class_names)}, and those of {first} {_listed(names)}; '
                'expected the same in the same order'
            )
            yield Finding('error', 'other classes', text, 1)
            return
    counts = {name: np.bincount(Objects.of(each).label, minlength=len(names)) for name, each in splits.items()}
    learned = 'train' if 'train' in counts else first
    own = counts.pop(learned)
    yield from _missing_from_training(learned, own, counts, names)
    for name, measured in counts.items():
        missing = names[measured == 0]
        if name in (*VALIDATION_NAMES, 'test') and len(missing) and measured.any():
            text = f'{counted(len(missing), "class")} without an object in {name}, whose AP cannot be measured: '
            yield Finding('warning', 'classes without objects', text + _listed(missing), len(missing))
    few = names[(own > 0) & (own < FEW)]
    if len(few):
        text = f'{counted(len(few), "class")} with under {FEW} objects in {learned}: {_listed(few)}'
        yield Finding('warning', 'classes with few objects', text, len(few))


def find_uneven(splits: Splits) -> Iterator[Finding]:
    """Classes of the training split with far fewer objects than another."""
    name = 'train' if 'train' in splits else next(iter(splits))
    names = splits[name].class_names
    own = np.bincount(Objects.of(splits[name]).label, minlength=len(names))
    if own.any() and own.max() > UNEVEN * own[own > 0].min():
        rarest = int(np.where(own > 0, own, own.max()).argmin())
        text = (
            f'{names[own.argmax()]!r} has {counted(int(own.max()), "object")} in {name}, and {names[rarest]!r} '
            f'{own[rarest]}: rare classes are found badly after such a training; add pictures of them'
        )
        yield Finding('warning', 'uneven classes', text, int((own < own.max() / UNEVEN).sum()))


def _missing_from_training(
    learned: str, own: np.ndarray, others: dict[str, np.ndarray], names: np.ndarray
) -> Iterator[Finding]:
    missing = own == 0
    if not missing.any() or not own.any():
        return
    seen = [name for name, counts in others.items() if counts[missing].any()]
    text = f'{counted(int(missing.sum()), "class")} without an object in {learned}: {_listed(names[missing])}'
    text += f'; {" and ".join(seen)} has some, which cannot be learned' if seen else ''
    yield Finding('error' if seen else 'warning', 'classes without objects', text, int(missing.sum()))


def _listed(names: Iterable[str]) -> str:
    names = list(names)
    more = f' and {len(names) - _NAMED} more' if len(names) > _NAMED else ''
    return ', '.join(map(repr, names[:_NAMED])) + more
