"""Whether a file in the Hub's cache is the one that the Hub states.

The Hub states the sha256 of a large (LFS) file, and of any other the hash that git gives it. The cache keeps each file
under that hash, as `blobs/<hash>`, and links to it from the folder of a commit: so a file can be checked at any time,
without the network, by the name of what its link leads to. Where there are no links, the hash is noted in a file.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import re
from pathlib import Path
from typing import NamedTuple

from huggingface_hub.errors import FileMetadataError
from huggingface_hub.hf_api import ModelInfo, SpaceInfo

from mbv3zoo.utils.text import shown

_HASH = re.compile('[0-9a-f]{40}|[0-9a-f]{64}')


class Stated(NamedTuple):
    """What the Hub states about a file.

    Attributes:
        size: Bytes.
        hash: In hexadecimal: sha256 (64 digits) of a large file, git's sha1 (40 digits) of any other.
    """

    size: int | None
    hash: str | None


def stated_files(info: ModelInfo | SpaceInfo) -> dict[str, Stated]:
    """Name -> what the Hub states, from `HfApi.model_info(..., files_metadata=True)`.

    Raises:
        FileMetadataError: A name, size or hash is none.
    """
    found = {}
    for file in info.siblings or []:
        name, size = file.rfilename, file.size
        hash = file.lfs.sha256 if file.lfs else file.blob_id
        if not isinstance(name, str) or not (size is None or (type(size) is int and size >= 0)):
            raise FileMetadataError(f'it states the size {shown(size)} of the file {shown(name)}')
        if hash is not None and not (isinstance(hash, str) and _HASH.fullmatch(hash)):
            raise FileMetadataError(f'it states the hash {shown(hash)} of {shown(name)}')
        found[name] = Stated(size, hash)
    return found


def find_fault(path: Path, stated: Stated | None = None) -> str | None:
    """What is wrong with a cached file.

    Args:
        path: Where the cache keeps it.
        stated: What the Hub states; by default what the name of the content says of that. In a cache without symbolic
            links (some on Windows) it is noted beside (`mbv3zoo.hub.cache`).

    Returns:
        A phrase with what was expected and found, or None: it is whole.
    """
    name = Path(os.readlink(path)).name if path.is_symlink() else ''
    cached_as = name if _HASH.fullmatch(name) else None
    size = path.stat().st_size
    if stated and stated.size not in (None, size):
        return f'it has {size} bytes, expected {stated.size}'
    if stated and stated.hash and (found := _differing_hash(path, stated.hash)):
        return f'its hash is {found} ({size} bytes), expected {stated.hash}'
    # The cache would call it corrupt from the next time on.
    if cached_as and (found := _differing_hash(path, cached_as)):
        return f'the Hub sent it as {cached_as} (its ETag), its hash is {found} ({size} bytes), expected the same'
    if name and not cached_as and not (stated and stated.hash):
        return f'the cache keeps it as {shown(name)}, expected its hash'
    return None


def is_same(content: bytes | Path, stated: Stated | None) -> bool:
    """Whether a file of the Hub is known to have this content."""
    if stated is None or stated.hash is None:
        return False
    if isinstance(content, bytes):
        return _hash(io.BytesIO(content), len(content), stated.hash) == stated.hash
    with open(content, 'rb') as file:
        return _hash(file, content.stat().st_size, stated.hash) == stated.hash


def remove(path: Path) -> None:
    """Takes a file out of the cache; what cannot be removed (a read-only cache) stays.

    The content that its link leads to goes too, unless it is whole: then it is another file's.
    """
    with contextlib.suppress(OSError):
        blob = path.parent / os.readlink(path) if path.is_symlink() else path
        path.unlink(missing_ok=True)
        if _HASH.fullmatch(blob.name) and blob.is_file() and _differing_hash(blob, blob.name):
            blob.unlink()


def _differing_hash(path: Path, expected: str) -> str | None:
    """The file's hash, where it is not the expected one."""
    with open(path, 'rb') as file:
        found = _hash(file, path.stat().st_size, expected)
    # Servers that are no git repositories underneath, such as mirrors, may hash a small file as it is.
    plain = len(expected) == 40 and hashlib.sha1(path.read_bytes()).hexdigest() == expected
    return None if plain or found == expected else found


def _hash(file: io.BufferedIOBase, size: int, like: str) -> str:
    """Hash of a file's bytes, of the kind of `like`, read piece by piece."""
    if len(like) == 64:
        return hashlib.file_digest(file, 'sha256').hexdigest()
    return hashlib.file_digest(file, lambda: hashlib.sha1(b'blob %d\0' % size)).hexdigest()
