"""Atomic writing of files: after a crash there is either the old content or the new."""

import os
import tempfile
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

Content = bytes | Callable[[BinaryIO], object]


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
    """Write files that belong together: none is replaced before the bytes of all are on disk.

    They are then renamed in the mapping's order, so the file that the others depend on goes last. A killed process may
    leave hidden files ending in `.tmp` behind (`temporary_files`).

    Args:
        contents: File path -> content, as in `atomic_write`.

    Raises:
        OSError: One of the files could not be written; the message names it and its folder.
    """
    staged: dict[Path, Path] = {}
    try:
        for path, content in contents.items():
            path = Path(path)
            # In the same folder, as a rename is atomic only within a file system; with a unique name, as two
            # processes may save to one place at once.
            staged[path] = _temporary(path, uuid.uuid4().hex)
            with naming_file(path):
                _write_through(staged[path], content)
        for path, temporary in staged.items():
            with naming_file(path):
                os.replace(temporary, path)
    finally:
        for temporary in staged.values():
            temporary.unlink(missing_ok=True)


def move_beside(folder: Path, path: Path) -> None:
    """Moves the entries of a folder beside `path`, in place of entries of the same names.

    The one called like `path` goes last, so that what it needs is there when it appears.

    Args:
        folder: The folder; on the same file system as `path`.
        path: Where the last one goes.
    """
    for source in sorted(folder.iterdir(), key=lambda entry: (entry.name == path.name, entry.name)):
        target = path.with_name(source.name)
        if target.is_dir():
            # A folder cannot be replaced in one step: the old one is moved out of the way first.
            with tempfile.TemporaryDirectory(dir=target.parent, prefix='.old-') as old:
                os.replace(target, Path(old) / target.name)
                os.replace(source, target)
        else:
            os.replace(source, target)


def temporary_files(path: Path) -> list[Path]:
    """Temporary files that killed processes left of a file."""
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
        # Without it, a power cut after the rename can leave an empty file.
        os.fsync(file.fileno())


@contextmanager
def naming_file(path: Path) -> Iterator[None]:
    """Context manager: an OSError becomes one that names a file and its folder, not a temporary one or none."""
    try:
        yield
    except OSError as error:
        message = f'could not write {path.name} in the folder {path.parent}: {error.strerror or error}'
        # Three arguments keep errno and its subclass (PermissionError, ...).
        raise OSError(error.errno, message, str(path)) from error
