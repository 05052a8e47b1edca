"""Files of a repository on the Hub: from the cache or fetched, whole and from one commit."""

from __future__ import annotations

import contextlib
import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from huggingface_hub import (
    HfApi,
    constants,
    get_hf_file_metadata,
    hf_hub_download,
    hf_hub_url,
    is_offline_mode,
    try_to_load_from_cache,
)
from huggingface_hub.errors import EntryNotFoundError, FileMetadataError, HFValidationError, RevisionNotFoundError
from huggingface_hub.utils import validate_repo_id

from mbv3zoo.hub.errors import ATTEMPTS, HTTP_ERROR, ask, is_passing_download, no_such_file
from mbv3zoo.hub.integrity import Stated, find_fault, remove, stated_files
from mbv3zoo.saving.folder import CONFIG_NAME, LOADED_NAMES, check_config_size
from mbv3zoo.utils.atomic import atomic_write
from mbv3zoo.version import __version__

_logger = logging.getLogger(__name__)


class _Library(TypedDict):
    library_name: str
    library_version: str


# What the Hub's client tells the Hub of its user.
LIBRARY: _Library = {'library_name': 'mbv3zoo', 'library_version': __version__}


def pull(
    repo_id: str,
    names: Sequence[str] = LOADED_NAMES,
    *,
    revision: str | None = None,
    cache_dir: str | Path | None = None,
    token: str | bool | None = None,
    local_files_only: bool = False,
    force_download: bool = False,
) -> dict[str, Path]:
    """Fetches files of a repository into the Hub's cache, all from one commit, and checks each against its hash.

    A file that is not what the Hub states is removed from the cache and fetched once more. Where the Hub cannot be
    reached, fails or refuses, a copy in the cache is used and a warning says why.

    Args:
        repo_id: `'org/name'`.
        names: Which files; by default what a detector is loaded from.
        revision: Branch, tag or commit. A commit that is in the cache is used without asking the Hub.
        cache_dir: Where downloads are kept; the Hub's own cache by default.
        token: Access token, or True/False to demand or forbid the stored one.
        local_files_only: Use the cache, never the network.
        force_download: Download again even what the cache holds, and never fall back to it.

    Returns:
        Name -> path in the cache.

    Raises:
        ValueError: `repo_id` is no id, or the repository, its revision or one of the files is missing or not for
            this token, or a file is too large or twice not what the Hub states. The message says which.
        FileNotFoundError: The network is off (`local_files_only`, `HF_HUB_OFFLINE`) and a file is not cached, or is
            corrupt there.
        ConnectionError: The Hub cannot be reached, or failed to answer.
    """
    check_repo_id(repo_id)
    offline = local_files_only or is_offline_mode()
    if offline and force_download:
        raise ValueError(
            'force_download=True needs the network, which local_files_only=True or HF_HUB_OFFLINE switches off. '
            'Leave one of them out.'
        )
    if revision is not None and (revision.startswith('/') or '..' in revision):
        raise ValueError(f'{revision!r} is not the name of a branch, tag or commit.')
    source = _Source(repo_id, revision, Path(cache_dir or constants.HF_HUB_CACHE).expanduser().resolve(), token)
    known, cached = (None, {}) if force_download else source.cached(names)
    complete = len(cached) == len(names)
    if complete and (offline or revision == known):
        return cached
    if offline:
        name = next(name for name in names if name not in cached)
        raise FileNotFoundError(
            f'{source.failed(name)}: it is not in the cache, or was corrupt there, and the network is off '
            '(local_files_only=True or HF_HUB_OFFLINE). Load it once with the network on.'
        )
    try:
        # Whoever has a copy is not made to wait for the Hub.
        commit = source.commit(names[0], attempts=1 if complete else ATTEMPTS)
    except (ValueError, ConnectionError) as error:
        if not complete or isinstance(error.__cause__, (EntryNotFoundError, RevisionNotFoundError)):
            raise
        _logger.warning('%s Used is the copy in the cache, of commit %s, which may be out of date.', error, known)
        return cached
    if complete and commit == known:
        return cached
    if commit != known and not force_download:
        _, cached = source.cached(names, commit)
    return source.complete(names, commit, cached, force_download)


def check_repo_id(repo_id: str) -> None:
    """Raises ValueError where it is not 'org/name'."""
    try:
        validate_repo_id(repo_id)
    except HFValidationError as error:
        raise ValueError(
            f"{repo_id!r} is neither an existing folder nor a Hub id of the form 'org/name'. {error}"
        ) from error
    if '/' not in repo_id:
        raise ValueError(
            f"{repo_id!r} is neither an existing folder nor a Hub id, which names the owner too: 'org/name'."
        )


@dataclass(frozen=True)
class _Source:
    """Where files are pulled from, and the cache they go to."""

    repo_id: str
    revision: str | None
    cache_dir: Path
    token: str | bool | None

    def failed(self, name: str) -> str:
        """How the message of an error begins."""
        at = f' at revision {self.revision!r}' if self.revision else ''
        return f'cannot load {name} from {self.repo_id!r} on the Hub{at}'

    def cached(self, names: Sequence[str], commit: str | None = None) -> tuple[str | None, dict[str, Path]]:
        """A commit, by default what the revision last stood for, and those of its files that the cache holds whole."""
        found: dict[str, Path] = {}
        for name in names:
            # The cache keeps each file under the hash of its commit, so the first one found tells it for all.
            path = try_to_load_from_cache(self.repo_id, name, self.cache_dir, commit or self.revision)
            if not isinstance(path, str):
                continue
            commit = Path(path).parent.name
            if fault := find_fault(Path(path)):
                _logger.warning('%s: the copy in the cache is corrupt: %s. It is removed.', self.failed(name), fault)
                remove(Path(path))
            else:
                found[name] = Path(path)
        return commit, found

    def commit(self, name: str, attempts: int) -> str:
        """The commit that the revision stands for now."""
        return ask(lambda: self._head(name, self.revision), self.failed(name), self.repo_id, attempts=attempts)

    def _head(self, name: str, revision: str | None) -> str:
        """The commit that the Hub has a file from."""
        url = hf_hub_url(self.repo_id, name, revision=revision)
        answer = get_hf_file_metadata(url, token=self.token, **LIBRARY)
        # The client makes them the names of a folder and of a file, whatever they are.
        for header, value in (('X-Repo-Commit', answer.commit_hash), ('ETag', answer.etag)):
            if re.fullmatch(r'[\w-]+', value or '') is None:
                raise FileMetadataError(f'its {header} is {value!r}, expected a hash')
        assert answer.commit_hash is not None
        return answer.commit_hash

    def complete(self, names: Sequence[str], commit: str, cached: dict[str, Path], force: bool) -> dict[str, Path]:
        """All files of a commit: those that are cached, and the others from the Hub."""
        missing = [name for name in names if name not in cached]
        # All are looked at before the first is fetched.
        stated = self._stated(missing, commit) if missing else {}
        fetched = {name: self._fetch(name, commit, stated[name], force) for name in missing}
        paths = {name: {**cached, **fetched}[name] for name in names}
        if commit != self.revision:
            # By this the cache knows what a branch stood for. It is written last, so that without the network nobody
            # is led to a commit of which a part is missing. A cache that is read-only stays as it is.
            with contextlib.suppress(OSError):
                reference = paths[names[0]].parents[2] / 'refs' / (self.revision or constants.DEFAULT_REVISION)
                reference.parent.mkdir(parents=True, exist_ok=True)
                atomic_write(reference, commit.encode())
        return paths

    def _stated(self, names: Sequence[str], commit: str) -> dict[str, Stated]:
        api = HfApi(token=self.token, **LIBRARY)
        timeout = constants.HF_HUB_DOWNLOAD_TIMEOUT
        info = ask(
            lambda: api.model_info(self.repo_id, revision=commit, files_metadata=True, timeout=timeout),
            self.failed(names[0]),
            self.repo_id,
        )
        stated = stated_files(info)
        for name in names:
            if name not in stated:
                raise no_such_file(self.failed(name))
            if name == CONFIG_NAME:
                check_config_size(stated[name].size or 0, self.failed(name))
        return stated

    def _fetch(self, name: str, commit: str, stated: Stated, force: bool) -> Path:
        for again in (False, True):
            path = self._download(name, commit, force or again)
            fault = find_fault(path, stated)
            if fault is None:
                return path
            remove(path)
            if not again:
                _logger.warning('%s: it is not what the Hub states: %s. Fetched once more.', self.failed(name), fault)
        raise ValueError(
            f'{self.failed(name)}: twice it was not what the Hub states: {fault}. Nothing of it is kept. Try again '
            'later; if that does not help, its owner must upload it again.'
        )

    def _download(self, name: str, commit: str, force: bool) -> Path:
        def download() -> str:
            try:
                return hf_hub_download(
                    self.repo_id,
                    name,
                    revision=commit,
                    cache_dir=self.cache_dir,
                    token=self.token,
                    force_download=force,
                    **LIBRARY,
                )
            except ValueError as error:
                # With force_download the client hides behind a ValueError what it would raise otherwise.
                if isinstance(error.__cause__, HTTP_ERROR):
                    raise error.__cause__ from error
                raise

        failed = self.failed(name)
        ask(lambda: self._head(name, commit), failed, self.repo_id)
        return Path(ask(download, failed, self.repo_id, passing=is_passing_download))
