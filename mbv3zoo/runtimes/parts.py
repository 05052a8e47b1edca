"""The files that an exported detector consists of, and their SHA-256, which its certificate has.

It imports neither pydantic nor a runtime.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from mbv3zoo.runtimes.certificate_data import certificate_path, read_certificate_data
from mbv3zoo.runtimes.table import format_of
from mbv3zoo.utils.atomic import current
from mbv3zoo.utils.files import file_digest

# In a certificate: end of a file's name -> its SHA-256.
DIGESTS_KEY = 'sha256'
# How often files are read again that another process replaces.
_TRIES = 10

_Found = TypeVar('_Found')


def parts(path: str | Path) -> dict[str, Path]:
    """End of a name -> where the file lies: the one that is opened, then the one with its weights, where there are two.

    See `mbv3zoo.utils.atomic.current`: after a kill, that may be another folder, and the two may be in different ones.
    """
    path, row = Path(path), format_of(path)
    stem = path.name.removesuffix(row.suffix)
    return {end: current(path.with_name(stem + end)) for end in (row.suffix, row.weights) if end}


def digests(path: str | Path) -> dict[str, str]:
    """End of a name -> SHA-256 of the file, for all `parts` of an exported detector."""
    return {end: digest_of(part) for end, part in parts(path).items()}


def digest_of(path: Path) -> str:
    """SHA-256 of a file's bytes; of a folder, of its files' names and bytes, without hidden files."""
    if not path.is_dir():
        return file_digest(path)
    every = hashlib.sha256()
    for each in sorted(path.rglob('*')):
        if each.is_file() and not each.name.startswith('.'):
            every.update(f'{each.relative_to(path).as_posix()}\n{digest_of(each)}\n'.encode())
    return every.hexdigest()


def check_digests(path: Path) -> None:
    """Raises ValueError where a file, or the one with its weights, is another than its certificate was written for.

    Without a certificate, or with one from before it had digests, nothing is checked.

    Args:
        path: The file.
    """
    data = read_certificate_data(path)
    known = data.get(DIGESTS_KEY) if isinstance(data, dict) else None
    if not isinstance(known, dict):
        return
    for end, part in parts(path).items():
        if end in known and part.exists() and digest_of(part) != known[end]:
            raise ValueError(
                f'{path}: {part.name} is not the file that the certificate {certificate_path(path).name} was written '
                f'for: it is damaged, or from another export; export again, or copy all files of one export, or, where '
                f'it was changed on purpose, delete {DIGESTS_KEY!r} from the certificate'
            )


def settled(path: Path, read: Callable[[], _Found]) -> _Found:
    """What a function reads from the files of an exported detector, all of them from one export.

    It is called again where another process has replaced them meanwhile.

    Args:
        path: The file.
        read: Reads them; its errors are raised where they have stayed the same.
    """
    for _ in range(_TRIES):
        before = _stamps(path)
        try:
            found = read()
        except (ValueError, OSError):
            if _stamps(path) == before:
                raise
        else:
            if _stamps(path) == before:
                return found
    return read()


def _stamps(path: Path) -> list[tuple[Path, int, int]]:
    """Which files there are, and since when."""
    found = []
    for part in (*parts(path).values(), current(certificate_path(path))):
        with suppress(OSError):  # not there, or moved in this moment
            stat = part.stat()
            found.append((part, stat.st_ino, stat.st_mtime_ns))
    return found
