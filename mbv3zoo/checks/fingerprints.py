"""What images look like from afar, and which look the same."""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image

from mbv3zoo.utils.union import Union

# A fingerprint has so many cells a side.
_SIDE = 16
LENGTH = _SIDE * _SIDE
# Correlation of the fingerprints of two images that are copies. At another size, compression or contrast, or with a
# margin of 1 % cut off, it is above this; different synthetic scenes have at most 0.82 (docs/data.md).
COPY = 0.97
# Compared at a time.
_BLOCK = 4096


def fingerprint(image: np.ndarray) -> np.ndarray:
    """The grey values of an image's 16 x 16 cells, less their mean, of length 1.

    The product of two is the correlation of the images, whatever their brightness, contrast, size and aspect ratio.

    Args:
        image: uint8 [H, W], grey.

    Returns:
        float32 [256]; zeros for an image of one colour.
    """
    cells = np.asarray(Image.fromarray(image).resize((_SIDE, _SIDE), Image.Resampling.BOX), np.float32).ravel()
    cells = cells - cells.mean()
    return cells / max(float(np.linalg.norm(cells)), 1.0)


def same_groups(prints: np.ndarray, digests: list[bytes]) -> list[list[int]]:
    """Groups of two or more images that are copies of one another.

    All pairs are compared: 100,000 images take a minute.

    Args:
        prints: Fingerprints, float32 [N, 256].
        digests: Of each file; equal ones are copies whatever they look like.

    Returns:
        Indices of each group, in their order. Two of one group may differ more than copies do, if there are others
        between them.
    """
    union = Union()
    every = union.new(len(prints))
    first = {digest: i for i, digest in reversed([*enumerate(digests)])}
    union.join(np.array([first[digest] for digest in digests], int), every)
    blocks = torch.from_numpy(prints).split(_BLOCK)
    for i, rows in enumerate(blocks):
        for j, columns in enumerate(blocks[: i + 1]):
            pairs = torch.nonzero(rows @ columns.T > COPY).numpy()
            union.join(pairs[:, 0] + i * _BLOCK, pairs[:, 1] + j * _BLOCK)
    groups: dict[int, list[int]] = {}
    for index, root in enumerate(union.roots(every)):
        groups.setdefault(root, []).append(index)
    return [group for group in groups.values() if len(group) > 1]
