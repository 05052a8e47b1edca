"""Whether a file in the Hub's cache is the one that the Hub states.

The Hub states the sha256 of a large (LFS) file, and of any other the hash that git gives it. The cache keeps each file
under that hash, as `blobs/<hash>`, and links to it from the folder of a commit: so a file can be checked at any time,
without the network, by the name of what its link leads to.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import re
from pathlib import Path
from typing import BinaryIO, NamedTuple

from huggingface_hub.hf_api import ModelInfo


class Stated(NamedTuple):
    """What the Hub states about a file.

    Attributes:
        size: Bytes.
        hash: In hexadecimal: sha256 (64 digits) of a large file, git's sha1 (40 digits) of any other.
    """

    size: int | None
    hash: str | None


def stated_files(info: ModelInfo) -> dict[str, Stated]:
    """Name -> what the Hub states, from `HfApi.model_info(..., files_metadata=True)`."""
    return {
        file.rfilename: Stated(file.size, file.lfs.sha256 if file.lfs else file.blob_id) for file in info.siblings or []
    }


def find_fault(path: Path, stated: Stated | None = None) -> str | None:
    """What is wrong with a cached file.

    Args:
        path: Where the cache keeps it.
        stated: What the Hub states; by default what the cache remembers of that. A cache without symbolic links (some
            on Windows) remembers nothing: there a file is checked when it is fetched, not again.

    Returns:
        A phrase with what was expected and found, or None: it is whole.
    """
    name = Path(os.readlink(path)).name if path.is_symlink() else ''
    cached_as = name if re.fullmatch('[0-9a-f]{40}|[0-9a-f]{64}', name) else None
    size = path.stat().st_size
    if stated and stated.size not in (None, size):
        return f'it has {size} bytes, expected {stated.size}'
    expected = (stated and stated.hash) or cached_as
    if expected is None:
        return None
    if cached_as not in (None, expected) and len(expected) == 64:
        return f'the Hub sent it as {cached_as} (its ETag), expected {expected}'
    with open(path, 'rb') as file:
        found = _hash(file, size, expected)
    if found == expected or _is_plain_sha1(path, expected):
        return None
    return f'its hash is {found} ({size} bytes), expected {expected}'


def is_same(content: bytes | Path, stated: Stated | None) -> bool:
    """Whether a file of the Hub is known to have this content."""
    if stated is None or stated.hash is None:
        return False
    if isinstance(content, bytes):
        return _hash(io.BytesIO(content), len(content), stated.hash) == stated.hash
    with open(content, 'rb') as file:
        return _hash(file, content.stat().st_size, stated.hash) == stated.hash


def remove(path: Path) -> None:
    """Takes a file out of the cache, with its link; what cannot be removed (a read-only cache) stays."""
    with contextlib.suppress(OSError):
        if path.is_symlink():
            (path.parent / os.readlink(path)).unlink(missing_ok=True)
        path.unlink(missing_ok=True)


def _is_plain_sha1(path: Path, expected: str) -> bool:
    """Servers that are no git repositories underneath, such as mirrors, may hash a small file as it is."""
    return len(expected) == 40 and hashlib.sha1(path.read_bytes()).hexdigest() == expected


def _hash(file: BinaryIO | io.BytesIO, size: int, like: str) -> str:
    """Hash of a file's bytes, of the kind of `like`, read piece by piece."""
    if len(like) == 64:
        return hashlib.file_digest(file, 'sha256').hexdigest()
    return hashlib.file_digest(file, lambda: hashlib.sha1(b'blob %d\0' % size)).hexdigest()
