"""The detector that a command runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def open_detector(
    model: str,
    *,
    runtime: str | None,
    image_size: int | tuple[int, int] | None,
    threads: int | None,
    device: str | None,
    cache: bool = True,
) -> Any:
    """Opens a detector by the options of a command; see `mbv3zoo.load`. In PyTorch it is fused.

    Args:
        image_size: Side, or (height, width), in pixels of what it will be given.
        cache: Whether its graph is kept in the user's cache.
    """
    from mbv3zoo.loading import load
    from mbv3zoo.runtimes.table import find_format

    # A graph is made for one size. A file has its own, and says so if it is given another.
    made_for = image_size if runtime and not find_format(Path(model)) else None
    detector = load(model, runtime=runtime, image_size=made_for, threads=threads, device=device, cache=cache)
    if runtime is None and hasattr(detector, 'fuse'):
        detector.fuse()
    return detector
