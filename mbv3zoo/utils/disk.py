"""Errors of the operating system in words: the path that the user knows, what is wrong with it, and what to do."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path

_ELSEWHERE = 'choose another folder'
_TEMPORARY = 'set TMPDIR to a folder that can be written'
_FULL = (errno.ENOSPC, getattr(errno, 'EDQUOT', errno.ENOSPC))
# errno -> what is wrong, and what to do; `instead` is what may be done instead, such as choosing another folder.
_WORDS = {
    'ENOSPC': ('the disk is full', 'free some space, or {instead}'),
    'EDQUOT': ('your disk quota is used up', 'free some space, or {instead}'),
    'EFBIG': ('the file is larger than the file system or a limit (ulimit -f) allows', 'raise the limit, or {instead}'),
    'EROFS': ('the file system is read-only', '{instead}'),
    'EACCES': ('permission is missing', 'allow it, or {instead}'),
    'EPERM': ('permission is missing', 'allow it, or {instead}'),
    'ENAMETOOLONG': ('its name is too long', 'give it a shorter one'),
    'ENOENT': ('there is no such file or folder', 'check the path, or {instead}'),
    'ENOTDIR': ('a part of its path is a file, not a folder', '{instead}'),
    'EEXIST': ('a file of that name is in the way', 'move it away, or {instead}'),
    'EISDIR': ('a folder of that name is in the way', 'move it away, or choose another name'),
    'ELOOP': ('its symbolic links lead in a circle', 'check the path'),
    'EBUSY': ('another program uses it', 'close that, or {instead}'),
    'EMFILE': ('too many files are open', 'close some, or raise the limit (ulimit -n)'),
    'ENFILE': ('too many files are open on this machine', 'close some'),
    'EIO': ('the disk failed', 'check the disk, or {instead}'),
    'ESTALE': ('the network drive is gone', 'connect it again, or {instead}'),
    'ENOTCONN': ('the network drive is gone', 'connect it again, or {instead}'),
    'ENODEV': ('the drive is gone', 'connect it again, or {instead}'),
    'ENXIO': ('the drive is gone', 'connect it again, or {instead}'),
}  # fmt: skip
_BY_NUMBER = {getattr(errno, name): words for name, words in _WORDS.items() if hasattr(errno, name)}
# Bytes that are written to find out whether a folder takes any.
_PROBE = 64 * 1024


def why(error: OSError, place: Path | None = None, instead: str = _ELSEWHERE, needed: int | None = None) -> str:
    """What is wrong, and what to do, as the end of a sentence.

    Args:
        error: As the operating system reported it, or `told`.
        place: Where it happened: on a full disk the sentence says how much is free there.
        instead: What may be done instead of mending it.
        needed: Bytes that were to be written, where they are known.
    """
    reported = error.strerror or (os.strerror(error.errno) if error.errno else str(error))
    if error.errno not in _BY_NUMBER:
        return f'{reported}; {instead}' if error.errno else reported
    what, advice = _BY_NUMBER[error.errno]
    facts = [reported]
    if error.errno in _FULL:
        with suppress(OSError):
            facts += [f'{_megabytes(shutil.disk_usage(_existing(place)).free)} free'] if place else []
        facts += [f'{_megabytes(needed)} needed'] if needed else []
    return f'{what} ({", ".join(facts)}); {advice.format(instead=instead)}'


def told(error: OSError, message: str) -> OSError:
    """An error of the same kind and number whose text is the message and nothing else."""
    kind = type(error) if type(error).__module__ == 'builtins' else OSError
    new = kind(message)
    new.errno = error.errno
    return new


def is_told(error: OSError) -> bool:
    """Whether an error is a sentence already, and not as the operating system reported it."""
    return error.errno is not None and error.strerror is None


def sentence(error: OSError) -> str:
    """An error of the operating system as a sentence that names its path, for those that nothing else has told."""
    if is_told(error) or error.errno not in _BY_NUMBER:
        return str(error)
    name = error.filename if isinstance(error.filename, str | bytes) else None
    return f'{os.fsdecode(name)}: {why(error, Path(os.fsdecode(name)))}' if name else why(error)


@contextmanager
def naming(failed: str, place: Path, instead: str = _ELSEWHERE, needed: int | None = None) -> Iterator[None]:
    """Context manager: an OSError becomes a sentence, unless it is one already.

    Args:
        failed: How the sentence begins; it names the path.
        place, instead, needed: As for `why`.
    """
    try:
        yield
    except OSError as error:
        if is_told(error):
            raise
        raise told(error, f'{failed}: {why(error, place, instead, needed)}') from error


def naming_file(path: Path, needed: int | None = None) -> AbstractContextManager[None]:
    """Context manager for writing a file: an OSError names it and its folder, not a temporary file or none.

    Args:
        path: The file.
        needed: Its size in bytes, where it is known.
    """
    return naming(_could_not_write(path), path.parent, needed=needed)


def make_folder(folder: Path) -> None:
    """Makes a folder and its parents where there are none; an OSError names it."""
    with naming_folder(folder):
        folder.mkdir(parents=True, exist_ok=True)


def naming_folder(folder: Path) -> AbstractContextManager[None]:
    """Context manager for making a folder: an OSError names it."""
    return naming(f'could not make the folder {folder}', folder)


def naming_read(path: Path) -> AbstractContextManager[None]:
    """Context manager for reading a file: an OSError names it."""
    return naming(f'could not read {path}', path, 'use another copy of the file')


@contextmanager
def naming_output(path: Path, hidden: Path) -> Iterator[None]:
    """Context manager for output that is made in a hidden folder first: an error of the disk names the output.

    Libraries that write by themselves report a full disk as anything. So after any other error it is tried whether the
    hidden folder and the folder for temporary files can be written.

    Args:
        path: What the user asked for.
        hidden: The folder that it is made in, on the same file system; removed after an error.
    """
    try:
        yield
    except Exception as error:
        fault = error if isinstance(error, OSError) else _fault_of(hidden, _largest_file(hidden))
        if fault is not None and _concerns(fault, hidden):
            raise told(fault, f'{_could_not_write(path)}: {why(fault, path.parent)}') from error
        if not isinstance(error, OSError) and (fault := _fault_of(_temporary_root())):
            raise _temporary_told(fault) from error
        raise


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """Context manager: a folder for temporary files, removed at the end; errors of its disk name it and `TMPDIR`."""
    root = _temporary_root()
    try:
        folder = tempfile.TemporaryDirectory(dir=root)
    except OSError as error:
        raise _temporary_told(error) from error
    with folder as name:
        try:
            yield Path(name)
        except Exception as error:
            fault = error if isinstance(error, OSError) else _fault_of(root)
            if fault is None or not (fault is not error or _concerns(fault, Path(name))):
                raise
            raise _temporary_told(fault) from error


def _temporary_root() -> Path:
    try:
        return Path(tempfile.gettempdir())
    except FileNotFoundError as error:
        raise told(error, f'no folder for temporary files can be written; {_TEMPORARY}') from error


def _temporary_told(error: OSError) -> OSError:
    root = _temporary_root()
    return told(error, f'could not write to {root}, the folder for temporary files: {why(error, root, _TEMPORARY)}')


def _concerns(error: OSError, folder: Path) -> bool:
    """Whether an error is about a file in a folder, or of writing, which is reported without a path."""
    if error.filename is None and error.errno in _BY_NUMBER and not is_told(error):
        return True
    return str(folder) in str(error.filename or error)


def _largest_file(folder: Path) -> Path | None:
    return max(filter(Path.is_file, folder.rglob('*')), key=lambda file: file.stat().st_size, default=None)


def _fault_of(folder: Path, file: Path | None = None) -> OSError | None:
    """What happens when a little is written to a folder, or to a file in it; None if it works."""
    try:
        with open(file, 'ab') if file else tempfile.TemporaryFile(dir=folder) as opened:
            opened.write(bytes(_PROBE))
            opened.flush()
            os.fsync(opened.fileno())
    except OSError as error:
        return error
    return None


def _could_not_write(path: Path) -> str:
    return f'could not write {path.name} in the folder {path.parent}'


def _existing(place: Path) -> Path:
    """The nearest folder above a path that exists."""
    return next(folder for folder in (place, *place.absolute().parents) if folder.exists())


def _megabytes(size: int) -> str:
    return f'{size / 1e6:.1f} MB'
