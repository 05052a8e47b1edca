"""How large images are cut into tiles, for training and for prediction."""

from __future__ import annotations

from typing import Any, NamedTuple

from mbv3zoo.utils.packages import require
from mbv3zoo.utils.sizes import TILE_OVERLAP, parse_image_size
from mbv3zoo.utils.text import shown


class Slicing(NamedTuple):
    """How images are cut.

    Attributes:
        size: (height, width) of a tile in pixels of the image.
        overlap: Fraction of a tile's side that the next one has too, 0 and above, below 1.
        whole: Whether the whole image is looked at too, for objects larger than a tile.
    """

    size: tuple[int, int]
    overlap: float
    whole: bool


def read_slicing(slice: Any = None, overlap: float | None = None, slice_only: bool = False) -> Slicing:
    """The options `slice`, `overlap` and `slice_only` of `predict`, of which one is given.

    Raises:
        ValueError: One is none that `predict` lists, or stands without `slice`.
        ImportError: supervision is not installed.
    """
    if slice is None:
        raise ValueError('overlap and slice_only are for slice, the side of tiles in pixels; give it too, such as 640')
    overlap = TILE_OVERLAP if overlap is None else overlap
    if isinstance(overlap, bool) or not isinstance(overlap, (int, float)) or not 0 <= overlap < 1:
        raise ValueError(f'overlap is {shown(overlap)}; expected a fraction of a tile of 0 to below 1, such as 0.2')
    size = parse_image_size(slice, 'slice')
    require('slice', 'supervision')
    return Slicing(size, float(overlap), not slice_only)


def slicing_or_none(slice: Any, overlap: float | None, slice_only: bool) -> Slicing | None:
    """As `read_slicing`; None where none of the options is given, so that images are not cut."""
    return None if (slice, overlap, slice_only) == (None, None, False) else read_slicing(slice, overlap, slice_only)


def tile_starts(side: int, tile: int, overlap: float) -> list[int]:
    """Where tiles begin along one side of an image, in pixels: the places of `supervision.InferenceSlicer`.

    Args:
        side: Of the image, in pixels.
        tile: Of a tile, in pixels.
        overlap: Fraction of a tile that the next one has too, at least; the last one ends where the image does.

    Example:
        >>> tile_starts(1000, 400, 0.2)
        [0, 320, 600]
        >>> tile_starts(300, 400, 0.2)
        [0]
    """
    if side <= tile:
        return [0]
    return [*range(0, side - tile, max(1, tile - int(tile * overlap))), side - tile]
