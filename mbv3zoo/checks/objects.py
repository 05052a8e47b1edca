"""Objects that are hard or impossible to learn as they are labelled."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np
import torch
from torchvision.ops import box_iou

from mbv3zoo.checks.findings import MOST_SHOWN, Example, Finding, Splits, counted, share
from mbv3zoo.checks.table import Objects
from mbv3zoo.data.boxes import MIN_SIDE, fitting_scales
from mbv3zoo.data.records import Record
from mbv3zoo.utils.sizes import MOST_SIDE

# Pixels of the input that an object should have: a cell of the finest map, whose stride is 8.
SMALL = 8
# Name of the finding of objects that training leaves out.
LOST = 'objects too small to learn'
# Share of the objects that is too small to pass over, and of those that the advice keeps.
_NOTABLE, _KEPT = 0.05, 0.95
# Two boxes of one class with this IoU are one object labelled twice, more likely than two objects.
DOUBLE = 0.85
# Longer side divided by shorter side.
THIN = 20
# Above it, tiles are cheaper than a larger input.
_LARGE_INPUT = 1280
_STRIDE = 32


def find_small(splits: Splits, size: tuple[int, int]) -> Iterator[Finding]:
    """Objects that are too small to be seen at an input size.

    Args:
        splits: The dataset.
        size: (height, width) of the input in pixels.

    Yields:
        At most two findings for each split: objects that are not trained on, and others of under `SMALL` pixels.
    """
    for name, data in splits.items():
        objects = Objects.of(data)
        scales = fitting_scales(data.records.sizes, size).numpy()[objects.picture]
        sides = np.sqrt(objects.width * objects.height)
        lost = np.minimum(objects.width, objects.height) * scales < MIN_SIDE
        small = (sides * scales < SMALL) & ~lost
        for kind, chosen, what, but in (
            (LOST, lost, f'with a side under {MIN_SIDE:g} pixels', ', too small to be trained on'),
            ('small objects', small, f'under {SMALL} x {SMALL} pixels', ''),
        ):
            count = int(chosen.sum())
            if not count:
                continue
            notable = count >= _NOTABLE * len(chosen)
            objects_of = f'{counted(count, "object")} of {name} ({share(count, len(chosen))})'
            text = f'{objects_of} {what} at the input {_named(size)}{but}'
            if notable:
                text += f'; {_advice(sides[chosen], (sides * scales)[chosen], size)}'
            found = objects.examples(data, chosen, -sides * scales, _pixels(sides * scales))
            yield Finding('warning' if notable else 'note', kind, text, count, found)


def find_doubles(splits: Splits) -> Iterator[Finding]:
    """Objects of one class whose boxes are nearly the same."""
    for name, data in splits.items():
        pairs = {i: found for i, record in enumerate(data.records) if (found := _doubles(record))}
        if not pairs:
            continue
        count = sum(map(len, pairs.values()))
        text = (
            f'{counted(count, "pair")} of boxes of one class in {counted(len(pairs), "picture")} of {name}, with an '
            f'IoU above {DOUBLE}: objects that are labelled twice, more likely than different ones'
        )
        worst = sorted(pairs, key=lambda i: -len(pairs[i]))[:MOST_SHOWN]
        examples = tuple(
            Example(data.records[i], sorted({*sum(pairs[i], ())}), counted(len(pairs[i]), 'pair')) for i in worst
        )
        yield Finding('warning', 'boxes labelled twice', text, count, examples)


def find_thin(splits: Splits) -> Iterator[Finding]:
    """Objects whose boxes are much longer than wide."""
    for name, data in splits.items():
        objects = Objects.of(data)
        ratios = np.maximum(objects.width, objects.height) / np.minimum(objects.width, objects.height)
        count = int((ratios > THIN).sum())
        if count:
            text = (
                f'{counted(count, "object")} of {name} with one side more than {THIN} times the other, which anchors '
                'fit badly: look whether the boxes are right'
            )
            yield Finding(
                'note', 'thin objects', text, count, objects.examples(data, ratios > THIN, ratios, _ratio(ratios))
            )


def _pixels(sides: np.ndarray) -> Callable[[np.ndarray], str]:
    return lambda rows: f'{counted(len(rows), "object")}, from {sides[rows].min():.1f} pixels at the input'


def _ratio(ratios: np.ndarray) -> Callable[[np.ndarray], str]:
    return lambda rows: f'{ratios[rows].max():.0f} to 1'


def _doubles(record: Record) -> list[tuple[int, int]]:
    """Pairs of boxes that are one object labelled twice."""
    objects = torch.nonzero(~record.iscrowd).flatten()
    pairs: list[tuple[int, int]] = []
    for label in record.labels[objects].unique().tolist():
        own = objects[record.labels[objects] == label]
        double = torch.nonzero(torch.triu(box_iou(record.boxes[own], record.boxes[own]), diagonal=1) > DOUBLE)
        pairs += [(first, second) for first, second in own[double].tolist()]
    return pairs


def _advice(sides: np.ndarray, at_input: np.ndarray, size: tuple[int, int]) -> str:
    """What input, or what tiles, would give most of some objects `SMALL` pixels."""
    factor = SMALL / float(np.quantile(at_input, 1 - _KEPT))
    height, width = (min(MOST_SIDE, math.ceil(side * factor / _STRIDE) * _STRIDE) for side in size)
    advice = f'--image-size {_named((height, width))} gives {_KEPT:.0%} of these {SMALL} pixels'
    if max(height, width) <= _LARGE_INPUT:
        return advice
    tile = max(1, int(min(size) * np.quantile(sides, 1 - _KEPT) / SMALL))
    return f'{advice}, or this input on tiles of {tile} x {tile} pixels of the pictures'


def _named(size: tuple[int, int]) -> str:
    return str(size[0]) if size[0] == size[1] else f'{size[0]}x{size[1]}'
