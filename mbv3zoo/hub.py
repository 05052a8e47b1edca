"""A detector's folder, on disk and on the Hugging Face Hub: the two have the same three files.

This module moves a configuration and a state dict; what they mean is the business of `mbv3zoo.models`.
"""

import json
import os
from pathlib import Path
from typing import Any

import safetensors.torch
from huggingface_hub import CommitOperationAdd, HfApi, constants, hf_hub_download
from huggingface_hub.errors import (
    EntryNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.utils import validate_repo_id
from safetensors import SafetensorError
from torch import Tensor

from mbv3zoo.atomic import atomic_write_all
from mbv3zoo.version import __version__

CONFIG_NAME = 'config.json'
WEIGHTS_NAME = 'model.safetensors'
CARD_NAME = 'README.md'

_LIBRARY = {'library_name': 'mbv3zoo', 'library_version': __version__}
_PICKLES = 'Weights are read from safetensors only, never from a pickle such as pytorch_model.bin.'
# The base error of the HTTP library underneath. Which library that is depends on huggingface_hub's version,
# and its transport errors (a reset connection) need be neither an HfHubHTTPError nor an OSError.
_HTTP_ERROR: type[Exception] = HfHubHTTPError.__bases__[0]


def save_folder(
    folder: str | Path,
    config: dict[str, Any],
    state_dict: dict[str, Tensor],
    card: str,
    metadata: dict[str, str] | None = None,
    keep_card: bool = True,
) -> Path:
    """Write `config.json`, `README.md` and `model.safetensors` into a folder that is ready to be pushed.

    All bytes are on disk before the first file is replaced, so a full disk or a kill leaves an earlier save
    whole.

    Args:
        folder: Made when missing, with its parents.
        config: Anything JSON can express.
        state_dict: Tensors of any device and memory layout; no two may share memory.
        card: Text of the model card.
        metadata: Further entries of the safetensors header.
        keep_card: Whether an existing README.md stays: people edit their cards.

    Returns:
        The folder.

    Raises:
        ValueError: `folder` is a file, or `config` or `state_dict` cannot be written. Nothing was written.
        OSError: The folder cannot be written (full, read-only); the message names it.
    """
    folder = Path(folder)
    if folder.exists() and not folder.is_dir():
        raise ValueError(f'cannot save to {str(folder)!r}: it is a file. Give a folder, new or existing.')
    contents = {folder / CONFIG_NAME: _config_bytes(config)}
    if not (keep_card and (folder / CARD_NAME).exists()):
        contents[folder / CARD_NAME] = card.encode('utf-8')
    contents[folder / WEIGHTS_NAME] = _weights_bytes(state_dict, metadata)
    folder.mkdir(parents=True, exist_ok=True)
    atomic_write_all(contents)
    return folder


def load_folder(
    source: str | Path,
    *,
    revision: str | None = None,
    cache_dir: str | Path | None = None,
    token: str | bool | None = None,
    local_files_only: bool = False,
    force_download: bool = False,
) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Read the configuration and the weights from a folder, or from a repository on the Hub.

    Args:
        source: An existing folder, else a Hub id `'org/name'`. A `Path` is always a folder.
        revision: Branch, tag or commit, for a Hub id only. Both files come from the same commit.
        cache_dir: Where downloads are kept; the Hub's own cache by default.
        token: Access token, or True/False to demand or forbid the stored one.
        local_files_only: Use the cache, never the network.
        force_download: Download again even what the cache holds.

    Returns:
        `(config, state_dict)`, the tensors on the CPU.

    Raises:
        ValueError: `source` is neither; or the folder or repository, its revision or one of the files is
            missing, corrupt or not for this token. The message says which.
        FileNotFoundError: The network is off (`local_files_only`, `HF_HUB_OFFLINE`) and a file is not cached.
        ConnectionError: The Hub cannot be reached, or failed to answer.
    """
    if isinstance(source, Path) or os.path.exists(source):
        if revision is not None:
            raise ValueError(
                f'revision={revision!r} was given for the folder {str(source)!r}, but only repositories on '
                'the Hub have revisions: leave it out.'
            )
        config_path, weights_path = _local_files(Path(source))
        advice = 'Save the detector again, or copy the file again from where it is whole.'
    else:
        _check_repo_id(source)
        options = {
            'cache_dir': cache_dir,
            'token': token,
            'local_files_only': local_files_only,
            'force_download': force_download,
        }
        config_path = _download(source, CONFIG_NAME, revision, options)
        # The cache keeps each file under the hash of its commit. The weights are asked for by that hash, or a
        # push in between would give us the configuration of one commit and the weights of another.
        weights_path = _download(source, WEIGHTS_NAME, config_path.parent.name, options)
        advice = f'If {source!r} itself is whole, load it once more with force_download=True.'
    return _read_config(config_path, advice), _read_weights(weights_path, advice)


def push_folder(
    folder: str | Path,
    repo_id: str,
    *,
    token: str | bool | None = None,
    private: bool | None = None,
    revision: str | None = None,
    commit_message: str | None = None,
    create_pr: bool = False,
) -> str:
    """Publish a folder written by `save_folder`: its three files, and no other, in one commit.

    The repository and the branch `revision` are made when missing. Pushing the same files again is harmless.

    Args:
        folder: A folder that holds `config.json`, `model.safetensors` and `README.md`.
        repo_id: `'org/name'`.
        token: Access token with the right to write; the stored one by default.
        private: Visibility of a repository that is made now; an existing one keeps its own.
        revision: Branch to commit to; the default branch when None.
        commit_message: Title of the commit.
        create_pr: Open a pull request instead of committing to the branch.

    Returns:
        URL of the commit, or of the pull request.

    Raises:
        ValueError: The folder is not complete, the id is not valid, or the Hub refused the token, the branch
            or the card.
        ConnectionError: The Hub cannot be reached, or failed to answer. Pushing again is safe.
    """
    folder = Path(folder)
    _check_repo_id(repo_id)
    if create_pr and revision is not None:
        raise ValueError(
            f'revision={revision!r} and create_pr=True exclude each other: a pull request is always opened '
            'against the default branch. Give one of them.'
        )
    paths = [*_local_files(folder), folder / CARD_NAME]
    if not paths[-1].is_file():
        raise ValueError(
            f'the folder {str(folder)!r} has no {CARD_NAME}, and nothing is published without a card. Save '
            'the detector again to get one, or write it.'
        )
    api = HfApi(token=token, **_LIBRARY)
    try:
        api.create_repo(repo_id, private=private, exist_ok=True)
        if revision is not None:
            api.create_branch(repo_id, branch=revision, exist_ok=True)
        # upload_folder may split what it uploads into several commits; create_commit never does.
        commit = api.create_commit(
            repo_id,
            [CommitOperationAdd(path_in_repo=path.name, path_or_fileobj=path) for path in paths],
            commit_message=commit_message or f'Upload with mbv3zoo {__version__}',
            revision=revision,
            create_pr=create_pr,
        )
    except (_HTTP_ERROR, RuntimeError) as error:
        at = f' at revision {revision!r}' if revision else ''
        raise _explain(error, f'cannot push to {repo_id!r} on the Hub{at}', repo_id) from error
    return commit.pr_url or commit.commit_url


def _config_bytes(config: dict[str, Any]) -> bytes:
    try:
        text = json.dumps(config, indent=2, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f'the configuration cannot be written as JSON ({error}). Use only finite numbers, strings, '
            'booleans, None, and lists and dicts of these.'
        ) from error
    return (text + '\n').encode('utf-8')


def _weights_bytes(state_dict: dict[str, Tensor], metadata: dict[str, str] | None) -> bytes:
    for name, tensor in state_dict.items():
        if not isinstance(tensor, Tensor):
            raise ValueError(
                f'state_dict[{name!r}] is of type {type(tensor).__name__}, but only tensors can be saved: leave it out.'
            )
    # Safetensors takes no strided views, such as the weights of a model in channels_last layout.
    tensors = {name: tensor.detach().contiguous() for name, tensor in state_dict.items()}
    try:
        # Other libraries read the format from here, and refuse a file that does not say it.
        return safetensors.torch.save(tensors, {'format': 'pt', **(metadata or {})})
    except RuntimeError as error:
        if 'share memory' not in str(error):
            raise
        raise ValueError(
            'the state dict holds tensors that share memory, which safetensors cannot express. Save only '
            f'one of them, or clone() the others. They are: {_shared_names(tensors)}'
        ) from error


def _shared_names(tensors: dict[str, Tensor]) -> list[list[str]]:
    by_storage: dict[int, list[str]] = {}
    for name, tensor in tensors.items():
        if tensor.numel():
            by_storage.setdefault(tensor.untyped_storage().data_ptr(), []).append(name)
    return [names for names in by_storage.values() if len(names) > 1]


def _local_files(folder: Path) -> tuple[Path, Path]:
    if not folder.exists():
        raise ValueError(f'there is no folder {str(folder)!r}. Check the path.')
    if not folder.is_dir():
        raise ValueError(f'{str(folder)!r} is a file. Give the folder with {CONFIG_NAME} and {WEIGHTS_NAME}.')
    missing = [name for name in (CONFIG_NAME, WEIGHTS_NAME) if not (folder / name).is_file()]
    if missing:
        raise ValueError(
            f'the folder {str(folder)!r} has no {" and no ".join(missing)}. The folder of a detector holds '
            f'{CONFIG_NAME} and {WEIGHTS_NAME}, as save_pretrained writes them. {_PICKLES}'
        )
    return folder / CONFIG_NAME, folder / WEIGHTS_NAME


def _check_repo_id(repo_id: str) -> None:
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


def _download(repo_id: str, filename: str, revision: str | None, options: dict[str, Any]) -> Path:
    at = f' at revision {revision!r}' if revision else ''
    failed = f'cannot load {filename} from {repo_id!r} on the Hub{at}'
    try:
        return Path(hf_hub_download(repo_id, filename, revision=revision, **_LIBRARY, **options))
    except (EntryNotFoundError, _HTTP_ERROR, RuntimeError) as error:
        raise _explain(error, failed, repo_id) from error
    except ValueError as error:
        # With force_download the client hides behind a ValueError what it would raise otherwise.
        if isinstance(error.__cause__, _HTTP_ERROR):
            raise _explain(error.__cause__, failed, repo_id) from error
        raise


def _explain(error: BaseException, failed: str, repo_id: str) -> Exception:
    """Puts what the Hub's client raised into words: ValueError if the input is at fault, else an OSError."""
    hub = constants.ENDPOINT
    log_in = 'log in with `hf auth login`, set HF_TOKEN, or pass `token`'
    # The client says LocalEntryNotFoundError for "not cached, and the Hub was of no help", and a bare
    # RuntimeError for an upload that failed for good. Why is told by the cause.
    if isinstance(error, LocalEntryNotFoundError):
        if error.__cause__ is None or isinstance(error.__cause__, OfflineModeIsEnabled):
            return FileNotFoundError(
                f'{failed}: it is not in the cache, and the network is switched off by '
                'local_files_only=True or HF_HUB_OFFLINE. Load it once with the network on.'
            )
        error = error.__cause__
    elif isinstance(error, RuntimeError) and error.__cause__ is not None:
        error = error.__cause__
    if isinstance(error, GatedRepoError):
        return ValueError(
            f'{failed}: its owner decides who may read it. Ask for access at {hub}/{repo_id}, then {log_in}.'
        )
    if isinstance(error, RepositoryNotFoundError):
        return ValueError(
            f'{failed}: there is no such repository at {hub}, or it is private. Check the spelling; for a '
            f'private repository, {log_in}.'
        )
    if isinstance(error, RevisionNotFoundError):
        return ValueError(f'{failed}: the repository has no branch, tag or commit of that name.')
    if isinstance(error, EntryNotFoundError):
        return ValueError(
            f'{failed}: the repository has no such file. That of a detector holds {CONFIG_NAME} and '
            f'{WEIGHTS_NAME}. {_PICKLES}'
        )
    if isinstance(error, HfHubHTTPError):
        status = error.response.status_code
        answer = f'{hub} answered {status}' + (f' ({error.server_message})' if error.server_message else '')
        if status in (401, 403):
            return ValueError(
                f'{failed}: {answer}. There is no token, or it is not valid, or lacks the right; {log_in}.'
            )
        if status < 500 and status not in (408, 429):
            return ValueError(f'{failed}: {answer}.')
        return ConnectionError(f'{failed}: {answer}. Try again later.')
    return ConnectionError(f'{failed}: no usable answer from {hub} ({error}). Check the network and try again.')


def _read_config(path: Path, advice: str) -> dict[str, Any]:
    try:
        config = json.loads(path.read_bytes().decode('utf-8'))
    except (ValueError, RecursionError) as error:
        raise ValueError(f'{path} is corrupt: it is not JSON ({error}). {advice}') from error
    if not isinstance(config, dict):
        raise ValueError(
            f'{path} is not a configuration: it holds a {type(config).__name__} and should hold a dict. {advice}'
        )
    return config


def _read_weights(path: Path, advice: str) -> dict[str, Tensor]:
    try:
        return safetensors.torch.load_file(path)
    except SafetensorError as error:
        raise ValueError(f'{path} is corrupt: it is not a safetensors file ({error}). {advice}') from error
