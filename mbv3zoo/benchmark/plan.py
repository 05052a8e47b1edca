"""Which models are measured together: those that run in one runtime, at one image size and batch size."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from mbv3zoo.runtimes.table import LIVE_RUNTIMES, RUNTIMES, find_format, runtimes_for
from mbv3zoo.utils.sizes import MOST_IMAGES, parse_image_size


class Group(NamedTuple):
    """What one process measures.

    Attributes:
        runtime: Name of the runtime.
        size: (height, width) in pixels; None takes each model's own.
        batch: Images per call.
        models: Names and files.
    """

    runtime: str
    size: tuple[int, int] | None
    batch: int
    models: tuple[str, ...]


def make_plan(
    models: Sequence[str],
    runtimes: Sequence[str] = (),
    sizes: Sequence[tuple[int, int] | None] = (),
    batches: Sequence[int] = (1,),
) -> list[Group]:
    """Every model in every runtime, at every size and batch.

    Where a model runs in some of the runtimes only, the others are left out for it: a detector has no 'torchscript' and
    a file no 'eager'. Where it runs in none of them, measuring it gives the runtime's error.

    Args:
        models: What `mbv3zoo.create_detector` takes, and exported files.
        runtimes: Names; by default the usual runtimes of the files, so that detectors are compared with them in the
            same runtime, and without files 'eager'.
        sizes: (height, width) in pixels; by default each model's own.
        batches: Images per call.

    Raises:
        ValueError: There is no model, no such runtime, or a size or batch is out of range.
    """
    models = tuple(dict.fromkeys(map(str, models)))
    if not models:
        raise ValueError('no models; expected at least one name or exported file')
    runtimes = tuple(dict.fromkeys(runtimes)) or _usual_runtimes(models)
    known = tuple(dict.fromkeys((*LIVE_RUNTIMES, *RUNTIMES)))
    if unknown := [name for name in runtimes if name not in known]:
        raise ValueError(f'unknown runtime {", ".join(unknown)}; expected one of {", ".join(known)}')
    sizes = tuple(dict.fromkeys(sizes)) or (None,)
    for size in sizes:
        if size is not None:
            parse_image_size(size, 'size')
    if not batches or not all(isinstance(batch, int) and 1 <= batch <= MOST_IMAGES for batch in batches):
        raise ValueError(f'batches are {tuple(batches)}; expected numbers of images, 1 to {MOST_IMAGES}')
    return [
        Group(runtime, size, batch, tuple(model for model in models if _takes_part(model, runtime, runtimes)))
        for runtime in runtimes
        for size in sizes
        for batch in dict.fromkeys(batches)
        if any(_takes_part(model, runtime, runtimes) for model in models)
    ]


def is_file(model: str) -> bool:
    """Whether a model is an exported file, by its name."""
    return find_format(model) is not None


def _able(model: str) -> Sequence[str]:
    return runtimes_for(model) or LIVE_RUNTIMES


def _takes_part(model: str, runtime: str, runtimes: Sequence[str]) -> bool:
    able = _able(model)
    return runtime in able or not set(able) & set(runtimes)


def _usual_runtimes(models: Sequence[str]) -> tuple[str, ...]:
    usual = []
    for model in filter(is_file, models):
        able = _able(model)
        usual.append(next((name for name in able if RUNTIMES[name].is_installed()), able[0]))
    if not all(map(is_file, models)) and not set(usual) & set(LIVE_RUNTIMES):
        usual.insert(0, 'eager')
    return tuple(dict.fromkeys(usual))
