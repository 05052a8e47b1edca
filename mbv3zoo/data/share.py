"""Divides a dataset of one split into training and validation: stratified by class, by a seed, the same everywhere."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Collection, Hashable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar
from unicodedata import normalize

from mbv3zoo.data.detection_set import DetectionSet
from mbv3zoo.data.masks import MaskRecord, MaskSet
from mbv3zoo.data.records import Record

Labelled = TypeVar('Labelled', DetectionSet, MaskSet)

# Stands for images without an object; classes count from 0.
_BACKGROUND = -1


def split_dataset(
    data: Labelled, val_share: float, seed: int = 0, groups: Sequence[Hashable] | None = None
) -> tuple[Labelled, Labelled]:
    """Divides a dataset into a training and a validation set, as `train(val_share=...)` does.

    The rarest classes are divided first (iterative stratification, Sechidis et al. 2011), so each class has about its
    share in both. A class of two or more images is in both, unless other classes of the same images leave no way; a
    class of one image is in the training set. What is drawn depends on the seed, on the names of the images relative to
    the folder that holds them all, and on their classes, not on their order.

    Args:
        data: The dataset, of two images or more.
        val_share: Fraction of the images to validate on, above 0 and below 1.
        seed: Other seeds draw other images.
        groups: A key for each image; images with the same key, such as the frames of one video, stay together. The
            fraction is one of the groups then. By default each is alone.

    Returns:
        The training set, which keeps the problems of the labels, and the validation set.

    Raises:
        ValueError: `val_share` is no such fraction, or there are fewer than two images or groups.

    Example:
        >>> data = mbv3zoo.load_dataset('data.yaml', 'val')
        >>> train_set, val_set = mbv3zoo.split_dataset(data, 0.25)
        >>> len(train_set), len(val_set)
        (3, 1)
        >>> [len(part) for part in mbv3zoo.split_dataset(data, 0.25, groups=['a', 'a', 'b', 'b'])]
        [2, 2]
    """
    if isinstance(val_share, bool) or not isinstance(val_share, (int, float)) or not 0 < val_share < 1:
        raise ValueError(f'val_share is {val_share!r}; expected a fraction above 0 and below 1, such as 0.2')
    if len(data) < 2:
        raise ValueError(f'the data set has {len(data)} images; expected two or more to keep some for validation')
    if groups is not None and len(groups) != len(data):
        raise ValueError(f'{len(groups)} keys of groups are given for {len(data)} images; expected one for each')
    names = picture_names(data, None)
    units: dict[Hashable, list[int]] = {}
    # By a digest: the same on every machine, and an image that is added moves few others.
    for i in sorted(range(len(data)), key=lambda i: hashlib.sha256(f'{seed}/{names[i]}'.encode()).digest()):
        units.setdefault(i if groups is None else groups[i], []).append(i)
    if len(units) < 2:
        raise ValueError(f'the {len(data)} images are all in one group; expected two groups or more to divide them')
    classes = [frozenset.union(*(_classes(data.records[i]) for i in unit)) for unit in units.values()]
    together = list(units.values())
    return _divided(data, {i for chosen in _choose(classes, val_share) for i in together[chosen]})


def split_by_names(data: Labelled, root: Path | None, names: Collection[str]) -> tuple[Labelled, Labelled, list[str]]:
    """Divides a dataset by the names of its validation images, as `picture_names` gives them.

    Returns:
        The training set, the validation set, and the names that no image has.
    """
    wanted, own = set(names), picture_names(data, root)
    train_set, val_set = _divided(data, {i for i, name in enumerate(own) if name in wanted})
    return train_set, val_set, sorted(wanted.difference(own))


def picture_names(data: DetectionSet | MaskSet, root: Path | None) -> list[str]:
    """The path of each image relative to a folder, or to the one that holds them all, with forward slashes."""
    paths = [os.path.abspath(record.path) for record in data.records]
    base = os.path.commonpath([os.path.dirname(path) for path in paths]) if root is None else os.path.abspath(root)
    return [normalize('NFC', Path(os.path.relpath(path, base)).as_posix()) for path in paths]


def _divided(data: Labelled, chosen: Collection[int]) -> tuple[Labelled, Labelled]:
    kept = [i for i in range(len(data)) if i not in chosen]
    return replace(data, records=_taken(data, kept)), replace(data, records=_taken(data, sorted(chosen)), problems=())


def _taken(data: DetectionSet | MaskSet, chosen: Iterable[int]) -> Any:
    if isinstance(data, DetectionSet):
        return data.records.take(chosen)
    return [data.records[i] for i in chosen]


def _classes(record: Record | MaskRecord) -> frozenset[int]:
    if isinstance(record, MaskRecord):
        return record.classes or frozenset([_BACKGROUND])
    return frozenset(record.labels[~record.iscrowd].tolist()) or frozenset([_BACKGROUND])


def _choose(classes: Sequence[frozenset[int]], share: float) -> set[int]:
    """The validation images, of images with these classes."""
    counts = Counter(label for each in classes for label in each)
    wanted = {label: min(max(1.0, share * n), n - 1.0) for label, n in counts.items()}
    left = dict.fromkeys(range(len(classes)))
    unseen, chosen = dict(counts), set[int]()
    total, size = Counter[int](), min(max(1, round(share * len(classes))), len(classes) - 1)
    while left:
        # The rarest class first, background last: its images can go anywhere.
        label = min((n, own) if own >= 0 else (len(classes), own) for own, n in unseen.items() if n)[1]
        for i in [i for i in left if label in classes[i]]:
            room = wanted[label] - total[label]
            in_val = room >= 0.5 if label >= 0 else len(chosen) < size
            if in_val:
                chosen.add(i)
                total.update(classes[i])
            del left[i]
            for own in classes[i]:
                unseen[own] -= 1
    _mend(classes, counts, chosen)
    if not chosen:
        # Each class has one image; validation needs one all the same.
        chosen.add(len(classes) - 1)
    return chosen


def _mend(classes: Sequence[frozenset[int]], counts: Counter[int], chosen: set[int]) -> None:
    """Moves images so that classes of two images or more are in both parts, where that takes none from another."""
    in_val = Counter(label for i in chosen for label in classes[i])
    for label in sorted(counts):
        if counts[label] < 2 or 0 < in_val[label] < counts[label]:
            continue
        missing_in_val = not in_val[label]
        for i in (i for i, own in enumerate(classes) if label in own):
            rest = [(counts[own] - in_val[own] if missing_in_val else in_val[own]) for own in classes[i]]
            if min(rest) > 1 or (not missing_in_val and all(counts[own] > 1 for own in classes[i])):
                (chosen.add if missing_in_val else chosen.discard)(i)
                in_val.update(dict.fromkeys(classes[i], 1 if missing_in_val else -1))
                break
