"""Files of a repository on the Hub: from the cache or fetched, whole and from one commit."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import TypedDict

from huggingface_hub import HfApi, constants, get_hf_file_metadata, hf_hub_download, hf_hub_url, is_offline_mode
from huggingface_hub.errors import EntryNotFoundError, FileMetadataError, RevisionNotFoundError
from huggingface_hub.utils import tqdm

from mbv3zoo.hub.arguments import cache_folder, check_repo_id, check_revision, check_token
from mbv3zoo.hub.cache import RepositoryCache, is_commit
from mbv3zoo.hub.errors import ATTEMPTS, HTTP_ERROR, ask, disk_errors, is_passing_download, no_such_file
from mbv3zoo.hub.integrity import Stated, find_fault, remove, stated_files
from mbv3zoo.hub.xet import Transfers
from mbv3zoo.saving.folder import CONFIG_NAME, LOADED_NAMES, check_config_size
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
        ValueError: `repo_id`, `revision`, `cache_dir` or `token` cannot be one, or the repository, its revision or one
            of the files is missing or not for this token, or a file is too large or twice not what the Hub states, or
            the Hub states no hash of it. The message says which.
        FileNotFoundError: The network is off (`local_files_only`, `HF_HUB_OFFLINE`) and a file is not cached, or is
            corrupt there.
        ConnectionError: The Hub cannot be reached, failed to answer, or answered something that cannot be read.
        OSError: The cache cannot be read or written; the message names its folder.
    """
    check_repo_id(repo_id)
    check_revision(revision)
    check_token(token)
    offline = local_files_only or is_offline_mode()
    if offline and force_download:
        raise ValueError(
            'force_download=True needs the network, which local_files_only=True or HF_HUB_OFFLINE switches off. '
            'Leave one of them out.'
        )
    source = _Source(repo_id, revision, cache_folder(cache_dir), token)
    with disk_errors(source.failed(names[0]), source.cache_dir):
        return _pull(source, names, offline, force_download)


def _pull(source: _Source, names: Sequence[str], offline: bool, force_download: bool) -> dict[str, Path]:
    known, cached = (None, {}) if force_download else source.cached(names)
    complete = len(cached) == len(names)
    if complete and (offline or source.revision == known):
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


@dataclass(frozen=True)
class _Source:
    """Where files are pulled from, and the cache they go to."""

    repo_id: str
    revision: str | None
    cache_dir: Path
    token: str | bool | None
    transfers: Transfers = field(default_factory=Transfers)

    @cached_property
    def cache(self) -> RepositoryCache:
        return RepositoryCache(self.cache_dir, self.repo_id)

    def failed(self, name: str) -> str:
        """How the message of an error begins."""
        at = f' at revision {self.revision!r}' if self.revision else ''
        return f'cannot load {name} from {self.repo_id!r} on the Hub{at}'

    def cached(self, names: Sequence[str], commit: str | None = None) -> tuple[str | None, dict[str, Path]]:
        """A commit, by default what the revision last stood for, and those of its files that the cache holds whole."""
        found: dict[str, Path] = {}
        commit = commit or self.cache.commit(self.revision)
        if commit is None:
            return None, found
        for name in names:
            path = self.cache.path(commit, name)
            if not path.is_file():
                continue
            if fault := find_fault(path, self.cache.stated(commit, name)):
                _logger.warning('%s: the copy in the cache is corrupt: %s. It is removed.', self.failed(name), fault)
                remove(path)
            else:
                found[name] = path
        return (commit if found else None), found

    def commit(self, name: str, attempts: int) -> str:
        """The commit that the revision stands for now."""
        commit, _ = ask(lambda: self._head(name, self.revision), self.failed(name), self.repo_id, attempts=attempts)
        return commit

    def _head(self, name: str, revision: str | None) -> tuple[str, str]:
        """The commit that the Hub has a file from, and what it calls its content (ETag)."""
        url = hf_hub_url(self.repo_id, name, revision=revision)
        answer = get_hf_file_metadata(url, token=self.token, **LIBRARY)
        commit, etag = answer.commit_hash, answer.etag
        if commit is None or not is_commit(commit):
            raise FileMetadataError(f'its X-Repo-Commit is {commit!r}, expected a hash')
        if is_commit(revision) and commit != revision:
            raise FileMetadataError(f'its X-Repo-Commit is {commit!r}, asked for was {revision}')
        # The client makes it the name of a file, whatever it is.
        if etag is None or re.fullmatch(r'[\w-]+', etag) is None:
            raise FileMetadataError(f'its ETag is {etag!r}, expected a hash')
        return commit, etag

    def complete(self, names: Sequence[str], commit: str, cached: dict[str, Path], force: bool) -> dict[str, Path]:
        """All files of a commit: those that are cached, and the others from the Hub."""
        missing = [name for name in names if name not in cached]
        # All are looked at before the first is fetched.
        stated = self._stated(missing, commit) if missing else {}
        fetched = {name: self._fetch(name, commit, stated[name], force) for name in missing}
        # By this the cache knows what a branch stood for. It is written last, so that without the network nobody is
        # led to a commit of which a part is missing.
        self.cache.remember(self.revision, commit)
        return {name: {**cached, **fetched}[name] for name in names}

    def _stated(self, names: Sequence[str], commit: str) -> dict[str, Stated]:
        api = HfApi(token=self.token, **LIBRARY)
        timeout = constants.HF_HUB_DOWNLOAD_TIMEOUT

        def look() -> dict[str, Stated]:
            info = api.model_info(self.repo_id, revision=commit, files_metadata=True, timeout=timeout)
            if info.sha != commit:
                raise FileMetadataError(f'it describes the commit {info.sha!r}, asked for was {commit}')
            return stated_files(info)

        stated = ask(look, self.failed(names[0]), self.repo_id)
        for name in names:
            if name not in stated:
                raise no_such_file(self.failed(name))
            if name == CONFIG_NAME:
                check_config_size(stated[name].size or 0, self.failed(name))
        return stated

    def _fetch(self, name: str, commit: str, stated: Stated, force: bool) -> Path:
        failed = self.failed(name)
        if stated.hash and not force and (blob := self.cache.blob(stated.hash)).is_file():
            # Another commit has the same file.
            if find_fault(blob, stated) is None:
                return self.cache.keep(blob, stated.hash, commit, name)
            remove(blob)
        for again in (False, True):
            _, etag = ask(lambda: self._head(name, commit), failed, self.repo_id)
            known = stated._replace(hash=stated.hash or (etag if is_commit(etag) else None))
            if known.hash is None:
                raise ValueError(
                    f'{failed}: the Hub states no hash of it, so that nobody can tell whether it is whole. Fetch the '
                    'repository by other means, and load the folder.'
                )
            with self.cache.staging() as staging:
                file = self._download(name, commit, known, staging)
                fault = find_fault(file, known)
                if fault is None:
                    return self.cache.keep(file.resolve(), known.hash, commit, name)
            self.transfers.give_up_xet(f'{name} is not what the Hub states: {fault}')
            if not again:
                _logger.warning('%s: it is not what the Hub states: %s. Fetched once more.', failed, fault)
        raise ValueError(
            f'{failed}: twice it was not what the Hub states: {fault}. Nothing of it is kept. Try again '
            'later; if that does not help, its owner must upload it again.'
        )

    def _download(self, name: str, commit: str, stated: Stated, folder: Path) -> Path:
        """Fetches a file into a cache of its own."""

        def download(bars: type[tqdm]) -> str:
            try:
                return hf_hub_download(
                    self.repo_id,
                    name,
                    revision=commit,
                    cache_dir=folder,
                    token=self.token,
                    tqdm_class=bars,
                    **LIBRARY,
                )
            except ValueError as error:
                # The client hides behind a ValueError what it would raise otherwise.
                if isinstance(error.__cause__, HTTP_ERROR):
                    raise error.__cause__ from error
                raise

        failed = self.failed(name)
        transfer = partial(self.transfers.run, download, f'Downloading {name} from {self.repo_id}', failed)
        return Path(ask(transfer, failed, self.repo_id, passing=is_passing_download, most_bytes=stated.size))
