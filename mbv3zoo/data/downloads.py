"""Whether what the Hub's client fetched for a dataset is what the Hub stated: `datasets` does not look."""

from __future__ import annotations

import contextlib
import hashlib
import re
import shutil
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from huggingface_hub import constants
from huggingface_hub.file_download import repo_folder_name

from mbv3zoo.utils.files import file_digest

# Seconds by which the clock of a network drive may be behind.
_SKEW = 60


def load_checked(name: str, options: dict[str, str | None]) -> dict[str, Any]:
    """The splits of a dataset on the Hub; files that came damaged are fetched once more.

    Args:
        name: 'org/name'.
        options: `name` (of the configuration) and `revision`, as for `datasets.load_dataset`.

    Raises:
        ValueError: A file was damaged twice.
        Exception: Whatever `datasets` raises.
    """
    import datasets

    started = time.time()
    splits: dict[str, Any] = {}
    try:
        splits = dict(datasets.load_dataset(name, **options))
    except Exception:
        if not remove_corrupt(name, started):
            raise
    else:
        if not remove_corrupt(name, started):
            return splits
    remove_prepared(splits.values())
    started = time.time()
    try:
        splits = dict(datasets.load_dataset(name, **options))
    finally:
        damaged = remove_corrupt(name, started)
    if damaged:
        remove_prepared(splits.values())
        raise ValueError(f'twice {damaged[0]} was not what the Hub states; nothing of it is kept, try again later')
    return splits


def remove_corrupt(repo_id: str, since: float) -> list[str]:
    """Removes what was fetched and is not what its name in the cache says, the hash that the Hub stated (its ETag).

    Args:
        repo_id: 'org/name' of a dataset.
        since: Files that are older than this time, in seconds since the epoch, are not looked at.

    Returns:
        Names of the files in the repository that are gone, or of what they held, sorted.
    """
    folder = Path(constants.HF_HUB_CACHE).expanduser() / repo_folder_name(repo_id=repo_id, repo_type='dataset')
    removed = set()
    with contextlib.suppress(OSError):  # a cache that is read-only, or none
        for blob in sorted((folder / 'blobs').iterdir()):
            is_new = blob.is_file() and blob.stat().st_mtime >= since - _SKEW
            if is_new and re.fullmatch('[0-9a-f]{40}|[0-9a-f]{64}', blob.name) and not _is_whole(blob):
                blob.unlink()
                removed.add(blob.name)
        names = []
        for link in sorted((folder / 'snapshots').glob('*/**/*')) if removed else ():
            if link.is_symlink() and not link.exists():
                names.append(link.relative_to(folder / 'snapshots').as_posix().partition('/')[2])
                link.unlink()
        return names or sorted(removed)
    return sorted(removed)


def remove_prepared(splits: Iterable[Any]) -> None:
    """Removes the tables that `datasets` made of files.

    Args:
        splits: Its datasets.
    """
    for folder in {Path(file['filename']).parent for split in splits for file in split.cache_files}:
        shutil.rmtree(folder, ignore_errors=True)


def _is_whole(blob: Path) -> bool:
    if len(blob.name) == 64:
        return file_digest(blob) == blob.name
    with open(blob, 'rb') as file:
        # As git hashes it, or mirrors that are no git repositories underneath.
        head = b'blob %d\0' % blob.stat().st_size
        hashes = [hashlib.sha1(head), hashlib.sha1()]
        while piece := file.read(2**20):
            for one in hashes:
                one.update(piece)
    return any(one.hexdigest() == blob.name for one in hashes)
