"""What only the image files say: whether they can be decoded, how they are stored, and what they look like."""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from mbv3zoo.checks.findings import MOST_SHOWN, Example, Finding, Level, Splits, counted
from mbv3zoo.checks.fingerprints import LENGTH, fingerprint
from mbv3zoo.data.records import Record
from mbv3zoo.images.embedded import read_embedded
from mbv3zoo.images.opening import open_image
from mbv3zoo.images.read import read_image
from mbv3zoo.utils.cores import usable_cores
from mbv3zoo.utils.sizes import MAX_PIXELS

# (height, width) that is enough for a fingerprint.
_ENOUGH = (64, 64)
# How many times wider or higher than the input an image is odd, and the share of such images that is more than a few.
_ODD, _MANY_ODD = 3, 0.05
# PIL's modes, and what becomes of them.
_MODES = {
    '1': 'black and white',
    'CMYK': 'CMYK, which is for printing, and turns into other colours',
    'I;16': 'grey of 16 bits, of which 8 are used',
    'L': 'grey',
    'LA': 'grey with transparency, which becomes white',
    'P': 'colours of a palette',
    'RGB': 'RGB',
    'RGBA': 'RGB with transparency, which becomes white',
}


class Looked(NamedTuple):
    """What was found in one file.

    Attributes:
        mode: PIL's name of how pixels are stored; '' where it cannot be read.
        digest: Of the bytes of the file.
        print: Its fingerprint, float32 [256].
        error: Why it cannot be decoded; '' where it can.
    """

    mode: str
    digest: bytes
    print: np.ndarray
    error: str


def look_at(splits: Splits, progress: Callable[[int], object]) -> dict[str, list[Looked]]:
    """Reads each image of a dataset once, in several threads.

    Args:
        splits: The dataset.
        progress: Called with 1 after each image.

    Returns:
        For each split, what was found in each of its records.
    """

    def look(record: Record) -> Looked:
        found = _look(record)
        progress(1)
        return found

    with ThreadPoolExecutor(usable_cores()) as pool:
        return {name: list(pool.map(look, data.records)) for name, data in splits.items()}


def find_unreadable(splits: Splits, looked: dict[str, list[Looked]]) -> Iterator[Finding]:
    """Images that are damaged."""
    for name in splits:
        errors = tuple(each.error for each in looked[name] if each.error)
        if errors:
            text = f'{counted(len(errors), "picture")} of {name} that cannot be read, such as: {errors[0]}'
            yield Finding('error', 'unreadable pictures', text, len(errors), lines=errors)


def find_modes(splits: Splits, looked: dict[str, list[Looked]]) -> Iterator[Finding]:
    """Images that are stored otherwise than most, or for printing."""
    rows = [
        (each.mode, name, data.records[i])
        for name, data in splits.items()
        for i, each in enumerate(looked[name])
        if each.mode
    ]
    modes = Counter(mode for mode, _, _ in rows).most_common()
    for rank, (mode, count) in enumerate(modes):
        if rank or mode == 'CMYK':
            text = f'{counted(count, "picture")} stored as {_MODES.get(mode, mode)}'
            text += f', where most are {modes[0][0]}' if rank else ''
            examples = [Example(record, (), name) for own, name, record in rows if own == mode]
            level: Level = 'warning' if mode == 'CMYK' else 'note'
            yield Finding(level, 'colour modes', text, count, tuple(examples[:MOST_SHOWN]))


def find_odd_shapes(splits: Splits, size: tuple[int, int]) -> Iterator[Finding]:
    """Images of which the letterbox is mostly padding, as they are much wider or higher than the input.

    Args:
        splits: The dataset.
        size: (height, width) of the input in pixels.
    """
    for name, data in splits.items():
        sizes = data.records.sizes.double()
        ratios = (sizes[:, 1] / sizes[:, 0]) / (size[1] / size[0])
        odd = torch.maximum(ratios, 1 / ratios)
        chosen = torch.nonzero(odd > _ODD).flatten()
        if len(chosen):
            worst = chosen[odd[chosen].argsort(descending=True)][:MOST_SHOWN].tolist()
            height, width = size
            many = len(chosen) > _MANY_ODD * len(data)
            text = (
                f'{counted(len(chosen), "picture")} of {name} more than {_ODD} times as wide or as high as the input '
                f'{height} x {width} (height x width): most of it is padding there; '
                + ('give an input of their shape with --image-size, or cut them with --slice' if many else 'cut them')
            )
            examples = tuple(Example(data.records[i], (), '{} x {}'.format(*data.records[i].size)) for i in worst)
            yield Finding('warning' if many else 'note', 'odd shapes of pictures', text, len(chosen), examples)


def _look(record: Record) -> Looked:
    limit = max(MAX_PIXELS, math.prod(record.size))
    try:
        digest = _digest(record.path)
        with open_image(record.path, limit) as image:
            mode = image.mode
        pixels = read_image(record.path, 1, _ENOUGH, limit)[:, :, 0]
    except (OSError, ValueError) as error:
        return Looked('', b'', np.zeros(LENGTH, np.float32), str(error))
    return Looked(mode, digest, fingerprint(pixels), '')


def _digest(path: Path) -> bytes:
    content = read_embedded(path)
    if content is not None:
        return hashlib.sha256(content).digest()
    with open(path, 'rb') as file:
        return hashlib.file_digest(file, 'sha256').digest()
