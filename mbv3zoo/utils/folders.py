"""New folders for results, so that nothing is overwritten."""

from __future__ import annotations

from itertools import count
from pathlib import Path


def check_new_folder(folder: str | Path) -> None:
    """Raises ValueError if a folder exists and is not empty."""
    folder = Path(folder)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ValueError(f'{folder} exists; results are never overwritten. Choose another folder.')


def next_folder(parent: str | Path, name: str) -> Path:
    """The first of parent/name-1, parent/name-2, ... that does not exist."""
    return next(path for i in count(1) if not (path := Path(parent) / f'{name}-{i}').exists())
