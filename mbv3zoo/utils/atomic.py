"""Files that are either the old ones, whole, or the new ones, whole, whatever stops the writing."""

import os
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

Content = bytes | Callable[[BinaryIO], object]


def atomic_write(path: str | Path, content: Content) -> None:
    """Write one file so that a reader, a crash or a full disk never meets a half-written one.

    Args:
        path: The file to write; its folder must exist. An existing file is replaced.
        content: The bytes, or a function that writes them to the open binary file it is given.

    Raises:
        OSError: The file could not be written; the message names it and its folder. The old file is unharmed.
    """
    atomic_write_all({path: content})


def atomic_write_all(contents: Mapping[str | Path, Content]) -> None:
    """Write files that belong together: none is replaced before the bytes of all are safely on disk.

    They are then put in place in the mapping's order, so the file without which the others are of no use goes
    last. A killed process may leave hidden files ending in `.tmp` behind (`temporary_files`).

    Args:
        contents: File path -> content, as in `atomic_write`.

    Raises:
        OSError: One of the files could not be written; the message names it and its folder.
    """
    staged: dict[Path, Path] = {}
    try:
        for path, content in contents.items():
            path = Path(path)
            # The same folder, because a rename is atomic only within a file system; a name of its own,
            # because two processes may save to one place at once.
            staged[path] = _temporary(path, uuid.uuid4().hex)
            with _naming(path):
                _write_through(staged[path], content)
        for path, temporary in staged.items():
            with _naming(path):
                os.replace(temporary, path)
    finally:
        for temporary in staged.values():
            temporary.unlink(missing_ok=True)


def temporary_files(path: Path) -> list[Path]:
    """What killed processes have left of a file, whole or half-written."""
    return sorted(path.parent.glob(_temporary(path, '*').name))


def _temporary(path: Path, unique: str) -> Path:
    return path.with_name(f'.{path.name}.{unique}.tmp')


def _write_through(path: Path, content: Content) -> None:
    with open(path, 'xb') as file:
        if callable(content):
            content(file)
        else:
            file.write(content)
        file.flush()
        # Without it a power cut after the rename can leave the new name with no bytes behind it.
        os.fsync(file.fileno())


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Re-raises an OSError with the file that the caller asked for, instead of its temporary stand-in."""
    try:
        yield
    except OSError as error:
        message = f'could not write {path.name} in the folder {path.parent}: {error.strerror or error}'
        # Three arguments keep both errno and the subclass that belongs to it (PermissionError, ...).
        raise OSError(error.errno, message, str(path)) from error
