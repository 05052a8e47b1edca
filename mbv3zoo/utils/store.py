"""Files that are kept in the user's own cache under a digest: checked when they are taken, and bounded in size.

Nothing depends on it: where the cache cannot be read or written, it is as if nothing were kept.
"""

from __future__ import annotations

import json
import logging
import os
import re
import shutil
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from mbv3zoo.utils.atomic import atomic_write, staged
from mbv3zoo.utils.disk import sentence
from mbv3zoo.utils.files import file_digest
from mbv3zoo.utils.json import SETTINGS_LIMIT, parse_settings
from mbv3zoo.utils.text import printable, read_text

_logger = logging.getLogger(__name__)

# The user's choice of the folder of the cache, and of its size in megabytes: 0 keeps nothing.
FOLDER_VARIABLE, SIZE_VARIABLE = 'MBV3ZOO_CACHE', 'MBV3ZOO_CACHE_MB'
_MEGABYTES = 2000
# In the folder of an entry: the SHA-256 of its files, and what it is. Its time of change is that of the last use.
_RECORD = 'entry.json'
_KEY = re.compile('[0-9a-f]{64}')
# What went wrong is said once.
_told: set[str] = set()


class Store:
    """A folder of entries in the cache, each a few files under a key.

    Args:
        name: Name of the folder.
    """

    def __init__(self, name: str) -> None:
        self.folder = cache_folder() / name
        self.most_bytes = _most_bytes()

    def find(self, key: str) -> Path | None:
        """The folder of an entry, which counts as used now; None where there is none, or it is damaged.

        Args:
            key: A SHA-256 in hexadecimal.
        """
        entry = self.folder / key
        if not (entry / _RECORD).is_file() or not self._is_ours():
            return None
        if not _is_whole(entry):
            _logger.warning('%s is damaged, and is removed; what it held is made anew', entry)
            _remove(entry)
            return None
        with suppress(OSError):  # it may be read where nothing can be written
            os.utime(entry / _RECORD)
        return entry

    def keep(self, key: str, files: Mapping[str, Path], about: Mapping[str, Any]) -> bool:
        """Keeps copies of files, and removes the entries that were used longest ago where there are too many.

        Args:
            key: As for `find`.
            files: Name -> file.
            about: What they are, for people who look into the cache; anything that JSON can express.

        Returns:
            Whether they are kept: not where they are too large, or the cache cannot be written; a warning says so once.
        """
        try:
            if sum(file.stat().st_size for file in files.values()) > self.most_bytes:
                return False
            self.folder.parent.mkdir(parents=True, exist_ok=True)
            self.folder.mkdir(mode=0o700, exist_ok=True)
            if not self._is_ours():
                return False
            with staged(self.folder) as place:
                (place / key).mkdir(mode=0o700)
                for name, file in files.items():
                    shutil.copyfile(file, place / key / name)
                record = {'sha256': {name: file_digest(place / key / name) for name in files}, 'of': dict(about)}
                atomic_write(place / key / _RECORD, (json.dumps(record, indent=2) + '\n').encode())
            self._shrink(key)
        except (OSError, NotImplementedError) as error:  # the latter where files cannot be locked
            text = sentence(error) if isinstance(error, OSError) else str(error)
            _tell_once(f'nothing is kept in the cache {self.folder}: {text}; set {FOLDER_VARIABLE} to another folder')
            return False
        return True

    def _is_ours(self) -> bool:
        """Whether nobody else can have written what is in the folder."""
        if not hasattr(os, 'getuid'):  # on Windows a user's folders are their own
            return True
        status = self.folder.stat()
        if status.st_uid == os.getuid() and not status.st_mode & 0o022:
            return True
        _tell_once(
            f'the cache {self.folder} is not used, as it belongs to another user or others may write to it; correct '
            f'that (chmod go-w), or set {FOLDER_VARIABLE} to another folder'
        )
        return False

    def _shrink(self, newest: str) -> None:
        entries = [entry for entry in self.folder.iterdir() if _KEY.fullmatch(entry.name)]
        used = {entry: _last_use(entry) for entry in entries if entry.name != newest}
        total = sum(map(_size, entries))
        for entry in sorted(used, key=used.__getitem__):
            # Without a record it is what was left of one when the process that removed it was killed.
            if total > self.most_bytes or not used[entry]:
                total -= _size(entry)
                _remove(entry)


def cache_folder() -> Path:
    """The folder of this library's cache: $MBV3ZOO_CACHE, else $XDG_CACHE_HOME/mbv3zoo, else ~/.cache/mbv3zoo."""
    if own := os.environ.get(FOLDER_VARIABLE):
        return Path(os.path.expanduser(own)).absolute()
    shared = os.environ.get('XDG_CACHE_HOME', '')
    # As its specification says, a relative path is ignored.
    if os.path.isabs(shared):
        return Path(shared, 'mbv3zoo')
    home = os.path.expanduser('~')
    # A user without a home has no cache either: nothing can be below a device.
    return Path(home, '.cache', 'mbv3zoo') if os.path.isabs(home) else Path(os.devnull, 'mbv3zoo')


def _most_bytes() -> int:
    text = os.environ.get(SIZE_VARIABLE) or str(_MEGABYTES)
    if not re.fullmatch('[0-9]{1,9}', text, re.ASCII):
        _tell_once(f'{SIZE_VARIABLE} is {text!r}, expected a whole number of megabytes; {_MEGABYTES} are taken')
        text = str(_MEGABYTES)
    return int(text) * 10**6


def _is_whole(entry: Path) -> bool:
    try:
        digests = parse_settings(read_text(entry / _RECORD, SETTINGS_LIMIT, 'settings'))['sha256']
        return bool(digests) and all(file_digest(entry / name) == digest for name, digest in digests.items())
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return False


def _last_use(entry: Path) -> int:
    """When an entry was last used, in nanoseconds; 0 where it has no record."""
    try:
        return (entry / _RECORD).stat().st_mtime_ns
    except OSError:
        return 0


def _size(entry: Path) -> int:
    total = 0
    with suppress(OSError):  # another process may just remove it
        for file in entry.iterdir():
            total += file.stat().st_size
    return total


def _remove(entry: Path) -> None:
    with suppress(OSError):
        # First, so that what is removed by halves is no entry.
        (entry / _RECORD).unlink(missing_ok=True)
    shutil.rmtree(entry, ignore_errors=True)


def _tell_once(message: str) -> None:
    if message not in _told:
        _told.add(message)
        _logger.warning('%s', printable(message))
