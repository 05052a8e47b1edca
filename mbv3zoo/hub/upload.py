"""A detector's folder to the Hub: in one commit or not at all."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi, constants
from huggingface_hub.hf_api import ModelInfo

from mbv3zoo.cards.bounds import CARD_LIMIT, read_card
from mbv3zoo.cards.folder import outdated_files
from mbv3zoo.cards.license import card_license, config_under
from mbv3zoo.cards.mark import find_mark
from mbv3zoo.cards.merge import library_part, merge_card, names_same_classes
from mbv3zoo.config.license_record import LicenseRecord
from mbv3zoo.hub.arguments import check_push_arguments
from mbv3zoo.hub.download import LIBRARY
from mbv3zoo.hub.errors import ATTEMPTS, ask, disk_errors, is_passing_push, ours
from mbv3zoo.hub.integrity import Stated, is_same, stated_files
from mbv3zoo.hub.xet import Transfers
from mbv3zoo.saving.config import parse_config
from mbv3zoo.saving.folder import CARD_NAME, CONFIG_LIMIT, CONFIG_NAME, WEIGHT_NAMES, all_files, no_card
from mbv3zoo.utils.disk import temporary_folder
from mbv3zoo.utils.json import parse_settings
from mbv3zoo.utils.text import read_bytes
from mbv3zoo.version import __version__


class PushedFile(NamedTuple):
    """A file that is published, and its size in bytes."""

    name: str
    size: int


def push_folder(
    folder: str | Path,
    repo_id: str,
    *,
    token: str | bool | None = None,
    private: bool | None = None,
    revision: str | None = None,
    commit_message: str | None = None,
    create_pr: bool = False,
    dry_run: bool = False,
    card: str | None = None,
    license: str | None = None,
    check_card: Callable[[str], None] | None = None,
) -> str | list[PushedFile]:
    """Publishes a folder written by `save_folder`: its files, and no others, in one commit or not at all.

    The repository and the branch `revision` are made when missing. What people wrote into the repository's card stays
    (`mbv3zoo.cards.merge`); config.json records the licence that the card then names, and a picture that the card shows
    no longer is removed. Pushing the same files again makes no commit.

    Args:
        folder: A folder that holds `config.json`, `model.safetensors`, `detector.safetensors` and `README.md`, and may
            hold `predictions.png`.
        repo_id: `'org/name'`.
        token: Access token with the right to write; the stored one by default.
        private: Visibility of a repository that is made now; an existing one keeps its own.
        revision: Branch to commit to; the default branch when None.
        commit_message: Title of the commit.
        create_pr: Open a pull request instead of committing to the branch.
        dry_run: Do not use the network; only tell what would be pushed.
        card: Text of the card, instead of the folder's README.md.
        license: A licence that was given explicitly: it counts, whatever the repository's card says.
        check_card: Called with the card that is about to be committed, merged with the repository's; may refuse it.

    Returns:
        URL of the commit, or of the pull request; with `dry_run` the files instead.

    Raises:
        ValueError: The folder is not complete, the id, the branch or the token cannot be one, or the Hub refused the
            token, the branch or the card.
        ConnectionError: The network is off (`HF_HUB_OFFLINE`), or the Hub cannot be reached, failed to answer, or
            answered something that cannot be read. Pushing again is safe.
        OSError: The disk failed.
    """
    folder = Path(folder)
    check_push_arguments(repo_id, revision, token, create_pr)
    contents: dict[str, Path | bytes] = dict(all_files(folder))
    own = contents.get(CARD_NAME)
    if card is not None:
        contents[CARD_NAME] = card.encode('utf-8')
    if CARD_NAME not in contents:
        raise no_card(folder)
    if own is not None and card is not None:
        # The picture that the folder's card showed may be of other weights.
        for name in outdated_files(_text(own), card):
            contents.pop(name, None)
    if dry_run:
        return [PushedFile(name, _size(content)) for name, content in _consistent(contents).items()]
    api = HfApi(token=token, **LIBRARY)
    at = f' at revision {revision!r}' if revision else ''
    failed = f'cannot push to {repo_id!r} on the Hub{at}'
    message = commit_message or f'Upload with mbv3zoo {__version__}'
    transfers, size = Transfers(), sum(map(_size, contents.values()))

    def send(operations: list[CommitOperationAdd]) -> None:
        def upload(_: object) -> None:
            api.preupload_lfs_files(repo_id, operations, revision=revision, create_pr=create_pr, free_memory=False)

        transfers.run(upload, f'Uploading to {repo_id}', failed, size)

    with disk_errors(failed):
        ask(lambda: api.create_repo(repo_id, private=private, exist_ok=True), failed, repo_id)
        if revision is not None:
            ask(lambda: api.create_branch(repo_id, branch=revision, exist_ok=True), failed, repo_id)
        return ask(
            lambda: _commit(api, repo_id, contents, revision, message, create_pr, license, check_card, send),
            failed,
            repo_id,
            # When the answer is lost nothing tells us whether the pull request was opened, so no second one is.
            attempts=1 if create_pr else ATTEMPTS,
            passing=is_passing_push,
        )


class Merged(NamedTuple):
    """What is to be committed.

    Attributes:
        contents: Name -> file.
        outdated: Names of files of the repository that are removed.
    """

    contents: dict[str, Path | bytes]
    outdated: tuple[str, ...]


def merge_with_hub(
    api: HfApi, contents: Mapping[str, Path | bytes], info: ModelInfo, license: str | None = None
) -> Merged:
    """What is to be published, with the card merged with that of the repository, where it has one.

    Args:
        api: The client.
        contents: Name -> file to publish.
        info: The repository's newest commit, with its files.
        license: A licence that was given explicitly.
    """
    stated = stated_files(info)
    if not info.sha or CARD_NAME not in stated:
        with ours():
            return Merged(_consistent(contents), ())
    text, old = _text(contents[CARD_NAME]), _text(fetch_bytes(api, info.id, info.sha, CARD_NAME, CARD_LIMIT))
    part, same, before = library_part(old), None, None
    if find_mark(part) is None and all(is_same(contents[name], stated.get(name)) for name in WEIGHT_NAMES):
        # An older version wrote it, or a person.
        same = names_same_classes(part, library_part(text))
    if not part:
        before = _record(api, info.id, info.sha, stated)
    with ours():
        card = merge_card(old, text, same_weights=same, before=before, license=license)
        merged = _consistent({**contents, CARD_NAME: card.encode('utf-8')})
    outdated = [name for name in outdated_files(old, card) if name in stated and name not in merged]
    return Merged(merged, tuple(outdated))


def _consistent(contents: Mapping[str, Path | bytes]) -> dict[str, Path | bytes]:
    """The same files, with the licence that the card names in config.json."""
    config = contents[CONFIG_NAME]
    data = config if isinstance(config, bytes) else read_bytes(config, CONFIG_LIMIT, 'settings')
    recorded = config_under(data, card_license(_text(contents[CARD_NAME])))
    return dict(contents) if recorded == data else {**contents, CONFIG_NAME: recorded}


def _text(card: Path | bytes) -> str:
    return card.decode('utf-8-sig') if isinstance(card, bytes) else read_card(card)


def _size(content: Path | bytes) -> int:
    return len(content) if isinstance(content, bytes) else content.stat().st_size


def _commit(
    api: HfApi,
    repo_id: str,
    contents: Mapping[str, Path | bytes],
    revision: str | None,
    message: str,
    create_pr: bool,
    license: str | None,
    check_card: Callable[[str], None] | None,
    send: Callable[[list[CommitOperationAdd]], None],
) -> str:
    """Commits what differs from the newest commit; harmless to repeat."""
    timeout = constants.HF_HUB_DOWNLOAD_TIMEOUT
    info = api.model_info(repo_id, revision=revision, files_metadata=True, timeout=timeout)
    stated = stated_files(info)
    merged, outdated = merge_with_hub(api, contents, info, license)
    if check_card is not None:
        with ours():
            check_card(_text(merged[CARD_NAME]))
    # The client looks as well, but only if the Hub tells it the hashes once more. It matters where a commit was made
    # and only the answer was lost.
    if not outdated and all(is_same(content, stated.get(name)) for name, content in merged.items()):
        return f'{constants.ENDPOINT}/{repo_id}/commit/{info.sha}'
    # upload_folder may split what it uploads into several commits; create_commit never does.
    operations = [CommitOperationAdd(path_in_repo=name, path_or_fileobj=content) for name, content in merged.items()]
    # The large files first, so that nothing but their upload is repeated where Xet fails.
    send(operations)
    commit = api.create_commit(
        repo_id,
        [*operations, *map(CommitOperationDelete, outdated)],
        commit_message=message,
        revision=revision,
        create_pr=create_pr,
        # Were there a commit since, its changes to the card would be lost.
        parent_commit=info.sha,
    )
    return commit.pr_url or commit.commit_url


def _record(api: HfApi, repo_id: str, commit: str, stated: Mapping[str, Stated]) -> LicenseRecord | None:
    """The licence record of the repository's detector; None where it holds none, or one that cannot be read."""
    if CONFIG_NAME not in stated or not (stated[CONFIG_NAME].size or 0) <= CONFIG_LIMIT:
        return None
    data = fetch_bytes(api, repo_id, commit, CONFIG_NAME, CONFIG_LIMIT)
    try:
        return parse_config(parse_settings(data.decode('utf-8')), repo_id).licenses
    except ValueError:
        return None


def fetch_bytes(
    api: HfApi, repo_id: str, commit: str | None, name: str, limit: int, repo_type: str | None = None
) -> bytes:
    """A file of a repository, of at most `limit` bytes, fetched anew."""
    # Not by the usual cache: the client would hide behind it that the Hub failed.
    with temporary_folder() as folder:
        path = api.hf_hub_download(repo_id, name, repo_type=repo_type, revision=commit, cache_dir=folder)
        return read_bytes(Path(path), limit)
