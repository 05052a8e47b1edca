"""Which image sizes a backbone takes, found by trying them on a model without storage."""

from __future__ import annotations

from typing import Any

import torch

from mbv3zoo.models.out_of_memory import is_out_of_memory
from mbv3zoo.models.pyramid import PyramidBackbone

# Sides of the squares that are tried where a family does not take every size.
SIDES = (128, 192, 224, 256, 320, 384, 448, 512, 640, 768, 1024)
# Two sizes that share nothing but being multiples of 32.
_SQUARE, _OBLONG = (448, 448), (352, 416)

Size = tuple[int, int]


def takes(name: str, built: Size, given: Size, in_chans: int = 3, **kwargs: Any) -> bool:
    """Whether a backbone built for images of size `built` runs on images of size `given`; (height, width)."""
    return _taken(name, built, [given], in_chans, **kwargs) == [True]


def accepted_squares(name: str, in_chans: int = 3, **kwargs: Any) -> list[int]:
    """Those of `SIDES` whose squares a backbone can be built for."""
    return [side for side in SIDES if takes(name, (side, side), (side, side), in_chans, **kwargs)]


def accepted_sizes(name: str) -> str:
    """The sizes that a backbone takes, in a few words: "any" is any multiples of 32."""
    square, oblong = _taken(name, _SQUARE, [_SQUARE, _OBLONG])
    if square and oblong:
        return 'any' if takes(name, _OBLONG, _OBLONG) else 'any, built for a square'
    if square and takes(name, _OBLONG, _OBLONG):
        return 'any, set when built'
    sides = accepted_squares(name)
    return 'squares, set when built' if len(sides) == len(SIDES) else ', '.join(f'{s} x {s}' for s in sides) or 'none'


def refusal(name: str, built: Size, given: Size, in_chans: int = 3, **kwargs: Any) -> str | None:
    """Why a backbone built for `built` fails on `given`, in one line; None where the size is not what it fails at."""
    if takes(name, built, given, in_chans, **kwargs):
        return None
    wanted = f'{given[0]} x {given[1]}'
    if built != given and takes(name, given, given, in_chans, **kwargs):
        return (
            f'backbone {name!r} was built for pictures of {built[0]} x {built[1]} and takes no others, given {wanted}; '
            f'build the detector with image_size={given}'
        )
    sides = accepted_squares(name, in_chans, **kwargs)
    if not sides:
        return None
    listed = 'all' if len(sides) == len(SIDES) else 'only ' + ', '.join(f'{s} x {s}' for s in sides)
    nearest = min(sides, key=lambda side: abs(side - max(given)))
    return (
        f'backbone {name!r} does not take pictures of {wanted}; of the squares from {SIDES[0]} to {SIDES[-1]} pixels '
        f'it takes {listed}: build the detector with image_size={nearest}'
    )


def _taken(name: str, built: Size, sizes: list[Size], in_chans: int = 3, **kwargs: Any) -> list[bool]:
    """Which of `sizes` a backbone built for `built` runs on."""
    # All the errors by which timm's families refuse a size.
    refusals = (AssertionError, RuntimeError, TypeError, ValueError)
    try:
        backbone = PyramidBackbone(name, built, in_chans=in_chans, **{**kwargs, 'device': 'meta'}).eval()
    except refusals as error:
        if is_out_of_memory(error):
            raise
        return [False] * len(sizes)
    taken = []
    for size in sizes:
        try:
            with torch.no_grad():
                backbone(torch.empty(1, in_chans, *size, device='meta'))
            taken.append(True)
        except refusals as error:
            if is_out_of_memory(error):
                raise
            taken.append(False)
    return taken
