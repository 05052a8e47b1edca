"""The sizes of many images, which are opened once for it."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from mbv3zoo.images.read import read_stored_size
from mbv3zoo.utils.sizes import MAX_PIXELS

# More than cores: most of the time is waited for the disk, or for a drive on the network.
_THREADS = 8
# Images that a thread opens one after the other, as handing over each costs more than opening it.
_CHUNK = 64

Stored = tuple[tuple[int, int], int]


def stored_sizes(paths: Sequence[str | Path], max_pixels: int = MAX_PIXELS) -> list[Stored | ValueError]:
    """What `read_stored_size` returns or raises for each of many files, opened in several threads."""

    def read(path: str | Path) -> Stored | ValueError:
        try:
            return read_stored_size(path, max_pixels)
        except ValueError as error:
            # Without the frames, which hold the file's bytes.
            return ValueError(str(error))

    def read_chunk(start: int) -> list[Stored | ValueError]:
        return [read(path) for path in paths[start : start + _CHUNK]]

    if len(paths) <= _CHUNK:
        return read_chunk(0)
    with ThreadPoolExecutor(_THREADS) as pool:
        return [each for chunk in pool.map(read_chunk, range(0, len(paths), _CHUNK)) for each in chunk]
