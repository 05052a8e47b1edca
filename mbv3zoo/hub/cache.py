"""The Hub's cache, in the client's layout: a file comes in by one rename, after it was checked.

    models--org--name/refs/main                     the commit that a branch or tag last stood for
    models--org--name/snapshots/<commit>/<name>     a link to
    models--org--name/blobs/<hash>                  the content, under the hash that the Hub states
    models--org--name/hashes/<commit>/<name>        that hash, of our own, where a file cannot be a link

The client's own functions that read it believe what stands in `refs/`, and its downloads put a file there under any
name that a server sends. So downloads go to a folder of their own first (`staging`).
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

from huggingface_hub import constants
from huggingface_hub.file_download import are_symlinks_supported, repo_folder_name

from mbv3zoo.hub.integrity import Stated
from mbv3zoo.utils.atomic import atomic_write, temporary_in


def is_commit(text: str | None) -> bool:
    """Whether this is the hash of a commit."""
    return re.fullmatch('[0-9a-f]{40}|[0-9a-f]{64}', text or '') is not None


class RepositoryCache:
    """What the cache holds of one repository.

    Args:
        cache_dir: The cache.
        repo_id: 'org/name'.
    """

    def __init__(self, cache_dir: Path, repo_id: str) -> None:
        self.cache_dir = cache_dir
        self.folder = cache_dir / repo_folder_name(repo_id=repo_id, repo_type='model')

    def commit(self, revision: str | None) -> str | None:
        """The commit that a revision last stood for; None where the cache does not know."""
        if is_commit(revision):
            return revision
        try:
            found = self._reference(revision).read_bytes()[:80].decode('ascii').strip()
        except (OSError, UnicodeDecodeError):
            return None
        return found if is_commit(found) else None

    def remember(self, revision: str | None, commit: str) -> None:
        """Notes what a branch or tag stands for. A cache that is read-only stays as it is."""
        if revision != commit:
            with contextlib.suppress(OSError):
                self._reference(revision).parent.mkdir(parents=True, exist_ok=True)
                atomic_write(self._reference(revision), commit.encode())

    def path(self, commit: str, name: str) -> Path:
        """Where a file of a commit is, or would be."""
        return self.folder / 'snapshots' / commit / name

    def blob(self, hash: str) -> Path:
        """Where content is kept."""
        return self.folder / 'blobs' / hash

    def stated(self, commit: str, name: str) -> Stated | None:
        """What the Hub stated of a file that is no link; None where another client, or an older version, fetched it."""
        try:
            note = self._note(commit, name).read_bytes()[:80].decode('ascii')
        except (OSError, UnicodeDecodeError):
            return None
        return Stated(None, note) if is_commit(note) and not self.path(commit, name).is_symlink() else None

    @contextlib.contextmanager
    def staging(self) -> Iterator[Path]:
        """Context manager: an empty folder on the cache's file system, removed in the end with what is left in it."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with temporary_in(self.folder) as folder:
            yield folder

    def keep(self, file: Path, hash: str, commit: str, name: str) -> Path:
        """Takes in a file that was checked.

        Args:
            file: The file, in a folder of `staging` or the blob itself.
            hash: Its hash.
            commit, name: What it is.

        Returns:
            Its path in the cache.
        """
        path, blob = self.path(commit, name), self.blob(hash)
        path.parent.mkdir(parents=True, exist_ok=True)
        if not are_symlinks_supported(self.cache_dir):
            if file == blob:
                file = Path(shutil.copyfile(file, path.with_name(f'.{path.name}.{os.getpid()}.tmp')))
            # What a commit holds under a name never changes, so it is true whatever becomes of the file.
            with contextlib.suppress(OSError):
                self._note(commit, name).parent.mkdir(parents=True, exist_ok=True)
                atomic_write(self._note(commit, name), hash.encode())
            os.replace(file, path)
            return path
        if file != blob:
            blob.parent.mkdir(exist_ok=True)
            os.replace(file, blob)
        link = path.with_name(f'.{path.name}.{os.getpid()}.{time.monotonic_ns()}.tmp')
        link.symlink_to(os.path.relpath(blob, path.parent))
        os.replace(link, path)
        return path

    def _note(self, commit: str, name: str) -> Path:
        return self.folder / 'hashes' / commit / name

    def _reference(self, revision: str | None) -> Path:
        return self.folder / 'refs' / (revision or constants.DEFAULT_REVISION)
