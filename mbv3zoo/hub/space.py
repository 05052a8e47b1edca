"""A folder to the Hub as a Space, a page that the Hub shows: in one commit or not at all."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Unpack

from huggingface_hub import CommitOperationAdd, HfApi, RepoCard, SpaceCard, constants
from huggingface_hub.errors import EntryNotFoundError

from mbv3zoo.cards.bounds import CARD_LIMIT, check_card, read_card
from mbv3zoo.hub.arguments import check_push_arguments
from mbv3zoo.hub.download import LIBRARY
from mbv3zoo.hub.errors import ATTEMPTS, ask, disk_errors, is_passing_push, ours
from mbv3zoo.hub.integrity import is_same, stated_files
from mbv3zoo.hub.options import PushOptions
from mbv3zoo.hub.upload import PushedFile, fetch_bytes
from mbv3zoo.hub.xet import Transfers
from mbv3zoo.saving.folder import CARD_NAME
from mbv3zoo.utils.atomic import put_right
from mbv3zoo.version import __version__

# In the header of a Space's README.md, of those that mbv3zoo wrote.
TAG = 'mbv3zoo'
# What the Hub puts into a new Space by itself.
_FIRST_FILES = {'.gitattributes', CARD_NAME, 'index.html', 'style.css'}


def push_space(
    folder: str | Path, repo_id: str, *, dry_run: bool = False, **options: Unpack[PushOptions]
) -> str | list[PushedFile]:
    """Publishes a folder as a Space, in one commit or not at all; pushing the same files again makes no commit.

    Hidden files and folders are left out.

    Args:
        folder: Its README.md has the Space's header, with `sdk`.
        repo_id: 'organisation/name'. The Space is made when missing; one that mbv3zoo did not write is left alone.
        dry_run: Do not use the network; only tell what would be pushed.
        **options: See `mbv3zoo.hub.PushOptions`.

    Returns:
        URL of the commit or pull request; with `dry_run` the files instead.

    Raises:
        ValueError: The folder is no Space, the Space there is somebody's, or the Hub refused.
        ConnectionError: The network is off or the Hub cannot be reached. Pushing again is safe.
    """
    folder, revision = Path(folder), options.get('revision')
    create_pr = options.get('create_pr', False)
    check_push_arguments(repo_id, revision, options.get('token'), create_pr)
    files = _files(folder)
    sdk = _sdk(folder / CARD_NAME)
    if dry_run:
        return [PushedFile(name, path.stat().st_size) for name, path in files.items()]
    api = HfApi(token=options.get('token'), **LIBRARY)
    failed = f'cannot push the Space {repo_id!r} to the Hub'
    space: dict[str, Any] = {'repo_id': repo_id, 'repo_type': 'space'}
    title = options.get('commit_message') or f'Upload with mbv3zoo {__version__}'
    transfers, size = Transfers(), sum(path.stat().st_size for path in files.values())

    def commit() -> str:
        info = api.space_info(
            repo_id, revision=revision, files_metadata=True, timeout=constants.HF_HUB_DOWNLOAD_TIMEOUT
        )
        stated = stated_files(info)
        if stated.keys() - _FIRST_FILES and TAG not in _tags(api, repo_id, info.sha):
            with ours():
                raise ValueError(f'the Space {repo_id!r} holds something else, which stays; choose another name')
        if all(is_same(path, stated.get(name)) for name, path in files.items()):
            return f'{constants.ENDPOINT}/spaces/{repo_id}/commit/{info.sha}'
        operations = [CommitOperationAdd(path_in_repo=name, path_or_fileobj=path) for name, path in files.items()]

        def upload(_: object) -> None:
            api.preupload_lfs_files(
                additions=operations, **space, revision=revision, create_pr=create_pr, free_memory=False
            )

        transfers.run(upload, f'Uploading to {repo_id}', failed, size)
        made = api.create_commit(
            operations=operations,
            **space,
            commit_message=title,
            revision=revision,
            create_pr=create_pr,
            parent_commit=info.sha,
        )
        return made.pr_url or made.commit_url

    with disk_errors(failed):
        ask(
            lambda: api.create_repo(**space, space_sdk=sdk, private=options.get('private'), exist_ok=True),
            failed,
            repo_id,
        )
        if revision is not None:
            ask(lambda: api.create_branch(**space, branch=revision, exist_ok=True), failed, repo_id)
        attempts = 1 if create_pr else ATTEMPTS
        return ask(commit, failed, repo_id, attempts=attempts, passing=is_passing_push)


def _files(folder: Path) -> dict[str, Path]:
    """Name in the repository -> file of a folder; hidden ones, such as .git and .env, stay here."""
    put_right(folder)
    names = {path: path.relative_to(folder) for path in sorted(folder.rglob('*')) if path.is_file()}
    found = {
        name.as_posix(): path for path, name in names.items() if not any(part.startswith('.') for part in name.parts)
    }
    if CARD_NAME not in found:
        raise ValueError(f'{folder} has no {CARD_NAME} with the header of a Space; write it with mbv3zoo demo')
    return found


def _sdk(path: Path) -> str:
    text = read_card(path)
    try:
        check_card(text)
        sdk = SpaceCard(text).data.to_dict().get('sdk')
    except Exception as error:  # of YAML, and of the client's own checks
        raise ValueError(f'{path}: its header cannot be read ({error}); correct it') from error
    if sdk not in ('static', 'gradio', 'docker'):
        raise ValueError(f'{path}: its header names the sdk {sdk!r}; expected static, gradio or docker')
    return sdk


def _tags(api: HfApi, repo_id: str, commit: str | None) -> list[str]:
    """The tags in the header of a Space; none where it has no README.md, or one that cannot be read."""
    try:
        text = fetch_bytes(api, repo_id, commit, CARD_NAME, CARD_LIMIT, 'space').decode('utf-8-sig')
        check_card(text)
        return list(RepoCard(text, ignore_metadata_errors=True).data.to_dict().get('tags') or [])
    except (EntryNotFoundError, ValueError):
        return []
