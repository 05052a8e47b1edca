"""Atomic writing: after a crash at any moment there is all of the old content or all of the new.

Files that belong together are first written to a staging folder, `.staging/<unique>/files` in the folder where they go.
When all bytes are on disk an empty file `complete` is made beside `files`: from this moment on the new files count
(`current`), and they are moved to their places. What a killed process left is put right by the next write to the
folder: a complete set is moved, an incomplete one removed. That a process still writes is told by its lock.
"""

from __future__ import annotations

import errno
import os
import shutil
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from mbv3zoo.utils.disk import naming_file, naming_output

if TYPE_CHECKING:
    from filelock import BaseFileLock

Content = bytes | Callable[[BinaryIO], object]

STAGING_NAME = '.staging'
_LOCK, _COMPLETE, _FILES, _OLD = 'lock', 'complete', 'files', 'old'


def atomic_write(path: str | Path, content: Content) -> None:
    """Write one file atomically: it is never seen half-written.

    Args:
        path: The file to write; its folder must exist. An existing file is replaced.
        content: The bytes, or a function that writes them to an open binary file.

    Raises:
        OSError: The file could not be written; the message names it and its folder. The old file is unchanged.
    """
    atomic_write_all({path: content})


def atomic_write_all(contents: Mapping[str | Path, Content]) -> None:
    """Write files of one folder that belong together: all of them are replaced, or none (`staged`).

    Args:
        contents: File path -> content, as in `atomic_write`. The last one is put in place last.

    Raises:
        OSError: One of the files could not be written; the message names it and its folder.
        ValueError: They are not in one folder.
    """
    paths = [Path(path) for path in contents]
    if len({path.parent for path in paths}) > 1:
        raise ValueError(f'expected files of one folder, given {", ".join(map(str, paths))}')
    if not paths:
        return
    with staged(paths[-1].parent, paths[-1].name) as folder:
        for path, content in zip(paths, contents.values(), strict=True):
            needed = None if callable(content) else len(content)
            with naming_file(path, needed), open(folder / path.name, 'xb') as file:
                if callable(content):
                    content(file)
                else:
                    file.write(content)


@contextmanager
def staged(folder: str | Path, last: str = '') -> Iterator[Path]:
    """Context manager: a staging folder, whose entries are put into `folder` together at the end.

    Entries of the same names are replaced, be they files or folders. After an error, none is.

    Args:
        folder: Where they go; it must exist.
        last: Name of the entry that is moved last, for those who wait for it to appear.

    Yields:
        The staging folder, empty.

    Raises:
        OSError: The folder cannot be written; the message names `last` and the folder.
    """
    path = Path(folder) / last
    with temporary_in(folder, last) as files:
        own = files.parent
        with naming_output(path, own):
            yield files
        for file in sorted(files.rglob('*')):
            if file.is_file():
                with naming_file(Path(folder) / file.relative_to(files)):
                    _sync(file)
        with naming_file(path), _locked(own.parent):
            _put_right(own.parent)
            _check_replaceable(own)
            _commit(own, last)


@contextmanager
def temporary_in(folder: str | Path, name: str = '') -> Iterator[Path]:
    """Context manager: a hidden folder on the file system of another, removed at the end.

    If the process is killed, the next call for the same folder removes it.

    Args:
        folder: The other one; it must exist.
        name: What is written, for messages.

    Raises:
        OSError: The folder cannot be written; the message names `name` and the folder.
    """
    staging = Path(folder) / STAGING_NAME
    own = staging / uuid.uuid4().hex
    with naming_file(Path(folder) / name), _locked(staging):
        _put_right(staging)
        (own / _FILES).mkdir(parents=True)
        alive = _lock(own / _LOCK)
        alive.acquire()
    try:
        yield own / _FILES
    finally:
        alive.release()
        with suppress(OSError), _locked(staging):
            # A set that was moved in part stays, for the next write.
            if not (own / _COMPLETE).exists():
                shutil.rmtree(own, ignore_errors=True)


def current(path: Path) -> Path:
    """Where the newest content of a file lies that was written with others (`staged`).

    That is the file's own place, or the staging folder, if the process that wrote it was killed before all files were
    in their places. Readers of files that belong together ask for each of them.

    Args:
        path: The file, in its own place.
    """
    for own in _complete_sets(path.parent / STAGING_NAME):
        waiting = own / _FILES / path.name
        if waiting.exists():
            return waiting
    return path


def put_right(folder: str | Path) -> None:
    """Does what the next write to a folder would do first: ends and removes what killed processes left (`staged`).

    Args:
        folder: The folder; nothing is done where it does not exist, or nothing was left.

    Raises:
        OSError: The folder cannot be written; the message names it.
    """
    staging = Path(folder) / STAGING_NAME
    if staging.is_dir():
        with naming_file(Path(folder) / STAGING_NAME), _locked(staging):
            _put_right(staging)


def is_leftover(path: Path) -> bool:
    """Whether an entry of a folder is what killed processes left of sets that are not complete.

    No reader misses it, and the next write to the folder removes it.
    """
    return path.name == STAGING_NAME and not _complete_sets(path)


def _complete_sets(staging: Path) -> list[Path]:
    try:
        return [marker.parent for marker in staging.glob(f'*/{_COMPLETE}')]
    except FileNotFoundError:  # the process that writes has removed the folder in this moment
        return []


def _put_right(staging: Path) -> None:
    """Moves complete sets of killed processes, and removes incomplete ones; the staging folder is locked."""
    for own in [entry for entry in staging.iterdir() if entry.is_dir()]:
        if (own / _COMPLETE).exists():
            _put_in_place(own)
        elif not _is_alive(own):
            shutil.rmtree(own, ignore_errors=True)


def _check_replaceable(own: Path) -> None:
    """Raises IsADirectoryError where a file would have to replace a folder: before the first file is moved."""
    for source in (own / _FILES).iterdir():
        target = own.parents[1] / source.name
        if source.is_file() and target.is_dir():
            raise IsADirectoryError(errno.EISDIR, 'a folder of this name is in the way')


def _commit(own: Path, last: str) -> None:
    """Decides that a set counts from now on, and moves its files."""
    count = len(os.listdir(own / _FILES))
    (own / _COMPLETE).touch()
    try:
        _put_in_place(own, last)
    except BaseException:
        if len(os.listdir(own / _FILES)) == count and not (own / _OLD).exists():
            # Nothing was moved.
            (own / _COMPLETE).unlink()
        raise


def _put_in_place(own: Path, last: str = '') -> None:
    """Moves the files of a complete set; may be repeated after a kill at any moment."""
    for source in sorted((own / _FILES).iterdir(), key=lambda entry: (entry.name == last, entry.name)):
        target = own.parents[1] / source.name
        if target.is_dir():
            # A folder cannot be replaced in one step.
            (own / _OLD).mkdir(exist_ok=True)
            os.replace(target, own / _OLD / target.name)
        os.replace(source, target)
    # First, so that what is removed by halves is not taken for a complete set.
    (own / _COMPLETE).unlink()
    shutil.rmtree(own, ignore_errors=True)


@contextmanager
def _locked(staging: Path) -> Iterator[None]:
    """Context manager: makes and locks a staging folder; whoever leaves it empty removes it."""
    lock = _lock(staging / _LOCK)
    while True:
        try:
            with suppress(FileExistsError):
                staging.mkdir()
            lock.acquire(poll_interval=0.01)
            break
        except (FileNotFoundError, FileExistsError):
            # Whoever held the lock has removed the folder in this moment: again, unless one cannot be made here.
            if staging.is_file() or not staging.parent.is_dir():
                raise
    try:
        yield
    finally:
        if all(entry.name == _LOCK for entry in staging.iterdir()):
            with suppress(OSError):
                (staging / _LOCK).unlink()
                staging.rmdir()
        lock.release()


def _is_alive(own: Path) -> bool:
    from filelock import Timeout

    lock = _lock(own / _LOCK)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return True
    lock.release()
    return False


def _lock(path: Path) -> BaseFileLock:
    from filelock import FileLock  # slow to import

    return FileLock(path)


def _sync(path: Path) -> None:
    """Without it, a power cut after the rename can leave an empty file."""
    with open(path, 'rb+') as file:
        os.fsync(file.fileno())
