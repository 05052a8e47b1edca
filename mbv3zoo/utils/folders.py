"""Folders of results: a folder belongs to one process while it is written, so that nothing is mixed or overwritten."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path

from mbv3zoo.utils.atomic import is_leftover
from mbv3zoo.utils.disk import make_folder, naming, naming_folder

# In a folder that is being written. A killed process may leave it behind; its lock is gone then.
LOCK_NAME = '.lock'


def check_new_folder(folder: str | Path, name: str = '') -> None:
    """Raises ValueError if a folder exists and is not empty; what killed processes left in it does not count.

    Args:
        folder: The folder.
        name: What the results are of, where `claimed_folder` takes the next free folder if it is given none.
    """
    folder = Path(folder)
    if folder.exists() and not (folder.is_dir() and _is_empty(folder)):
        numbered = (Path('runs') / f'{name}-{number}' for number in count(1))
        free = next(path for path in numbered if not os.path.lexists(path)) if name else ''
        instead = f', or none: then the next free one is taken, {free}' if name else ''
        raise ValueError(f'{folder} exists; results are never overwritten. Choose another folder{instead}.')


def move_aside(path: Path) -> Path:
    """Renames a damaged file or folder to `path.damaged-1`, or the next number that is free, and returns that path."""
    aside = next(
        place for number in count(1) if not (place := path.with_name(f'{path.name}.damaged-{number}')).exists()
    )
    return path.rename(aside)


def _is_empty(folder: Path) -> bool:
    return all(path.name == LOCK_NAME or is_leftover(path) for path in folder.iterdir())


@contextmanager
def claimed_folder(folder: str | Path | None, name: str = '') -> Iterator[Path]:
    """Context manager: a folder for results that no other process gets.

    Args:
        folder: The folder, new or empty; its parents are made. None makes the first of runs/name-1, runs/name-2, ...
            that does not exist.
        name: What the results are of, such as 'train'.

    Yields:
        The folder. If nothing is in it at the end, what was made here is removed again.

    Raises:
        ValueError: The folder is not empty, or another process writes to it.
    """
    wanted = Path('runs') / name if folder is None else Path(folder)
    made = [place for place in wanted.parents if not place.exists()]
    if folder is None:
        path = _make_next(wanted)
        made.insert(0, path)
    else:
        path = wanted
        check_new_folder(path, name)
        if not path.exists():
            made.insert(0, path)
        make_folder(path)
    try:
        with locked_folder(path):
            check_new_folder(path, name)  # the process that held the lock before may have written
            yield path
    finally:
        with suppress(OSError):  # one of them is not empty
            for place in made:
                place.rmdir()


@contextmanager
def locked_folder(folder: str | Path, name: str = '') -> Iterator[None]:
    """Context manager: locks a folder that exists, until the end or the process's death.

    Args:
        folder: The folder.
        name: What errors call it, by default its path.

    Raises:
        ValueError: Another process has locked it.
    """
    from filelock import FileLock, Timeout  # slow to import

    file = Path(folder) / LOCK_NAME
    lock = FileLock(file)
    with naming(f'could not write to the folder {folder}', Path(folder)):
        try:
            lock.acquire(timeout=0)
        except Timeout:
            message = f'{name or folder} is being written by another process; wait until it ends, or stop it'
            raise ValueError(message) from None
    try:
        yield
    finally:
        # While it is locked: whoever opened it before was refused, and the next one makes a new file.
        with suppress(OSError):  # it is no lock without this process, and another error may be on its way
            file.unlink(missing_ok=True)
        lock.release()


def _make_next(wanted: Path) -> Path:
    """Makes the first of wanted-1, wanted-2, ... that does not exist."""
    numbers = count(1)
    while True:
        path = wanted.with_name(f'{wanted.name}-{next(numbers)}')
        with naming_folder(path):
            path.parent.mkdir(parents=True, exist_ok=True)
        # Another process may have taken it, or have removed their parent, which it had made in vain.
        with suppress(FileExistsError, FileNotFoundError), naming_folder(path):
            path.mkdir()
            return path
