"""What goes wrong between us and the Hub: which failures are tried again, and how the others are put into words."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable
from typing import TypeVar

from huggingface_hub import constants
from huggingface_hub.errors import (
    EntryNotFoundError,
    FileMetadataError,
    GatedRepoError,
    HfHubHTTPError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from mbv3zoo.saving.folder import LOADED_NAMES, NO_PICKLES

# One logger for all that is said about the Hub.
_logger = logging.getLogger('mbv3zoo.hub')

ATTEMPTS = 4
# A server that asks for more patience than this, in seconds, is asked again all the same, and then given up.
MAX_WAIT = 60
# The base error of the HTTP library underneath. Which library that is depends on huggingface_hub's version,
# and its transport errors (a reset connection) need be neither an HfHubHTTPError nor an OSError.
HTTP_ERROR: type[Exception] = HfHubHTTPError.__bases__[0]

# What the client raises of its own; all else (a full disk, say) has nothing to do with the Hub.
_HUB_ERRORS = (HTTP_ERROR, EntryNotFoundError, FileMetadataError, RuntimeError)
_Result = TypeVar('_Result')


def is_passing(error: BaseException) -> bool:
    """Whether a request that failed so may succeed when it is repeated."""
    if isinstance(error, HfHubHTTPError):
        return error.response.status_code in (408, 429) or error.response.status_code >= 500
    # An answer that is no JSON comes from a proxy or a crashed server.
    return isinstance(error, (HTTP_ERROR, json.JSONDecodeError))


def is_passing_download(error: BaseException) -> bool:
    """Likewise for a download, of which the client repeats and resumes a part by itself."""
    if isinstance(error, HfHubHTTPError):
        # No access was told by the request before. This says that the signed address of the storage has expired, and
        # another attempt asks for a new one.
        answer = error.response
        expired = type(error) is HfHubHTTPError and answer.status_code == 403 and answer.request.method == 'GET'
        return expired or is_passing(error)
    if isinstance(error, HTTP_ERROR):
        # After time-outs, refused and closed connections the client has resumed several times when it gives up.
        return type(error).__name__ in ('ReadError', 'WriteError')
    return type(error) is OSError and str(error).startswith('Consistency check failed')


def is_passing_push(error: BaseException) -> bool:
    """Likewise for a commit. 412: somebody else committed since we looked."""
    return is_passing(error) or (isinstance(error, HfHubHTTPError) and error.response.status_code == 412)


def ask(
    call: Callable[[], _Result],
    failed: str,
    repo_id: str,
    *,
    attempts: int = ATTEMPTS,
    passing: Callable[[BaseException], bool] = is_passing,
) -> _Result:
    """Calls the Hub's client, again after a failure that may pass, with growing waits and a warning each time.

    Args:
        call: What to do; must be harmless to repeat.
        failed: How the message of an error begins.
        repo_id: The repository.
        attempts: How often at most.
        passing: Which failures may pass.

    Returns:
        What `call` returns.

    Raises:
        ValueError, FileNotFoundError, ConnectionError: See `explain`.
    """
    for attempt in range(1, attempts + 1):
        try:
            return call()
        except (*_HUB_ERRORS, OSError, json.JSONDecodeError) as error:
            may_pass = passing(error)
            if not may_pass and not isinstance(error, _HUB_ERRORS):
                raise
            explained = explain(error, failed, repo_id)
            if not may_pass or attempt == attempts:
                raise explained from error
            wait = _wait(error, attempt)
            _logger.warning('%s Attempt %d of %d failed, the next in %d s.', explained, attempt, attempts, wait)
        time.sleep(wait)
    raise AssertionError('unreachable')


def _wait(error: BaseException, attempt: int) -> int:
    """Seconds until the next attempt: 1, 2, 4, ..., or what the server asks for."""
    asked = error.response.headers.get('Retry-After', '') if isinstance(error, HfHubHTTPError) else ''
    return min(int(asked), MAX_WAIT) if asked.isdecimal() else 2 ** (attempt - 1)


def explain(error: BaseException, failed: str, repo_id: str) -> Exception:
    """Puts what the Hub's client raised into words.

    Args:
        error: What it raised.
        failed: How the message begins.
        repo_id: The repository.

    Returns:
        ValueError where the input is at fault, else a ConnectionError.
    """
    hub = constants.ENDPOINT
    log_in = 'log in with `hf auth login`, set HF_TOKEN, or pass `token`'
    # The client says LocalEntryNotFoundError for "not cached, and the Hub was of no help", and a bare
    # RuntimeError for an upload that failed for good. Why is told by the cause.
    if isinstance(error, (LocalEntryNotFoundError, RuntimeError)) and error.__cause__ is not None:
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
    if isinstance(error, EntryNotFoundError) and not isinstance(error, LocalEntryNotFoundError):
        return no_such_file(failed)
    if isinstance(error, HfHubHTTPError):
        status = error.response.status_code
        answer = f'{hub} answered {status}' + (f' ({error.server_message})' if error.server_message else '')
        if status in (401, 403):
            return ValueError(
                f'{failed}: {answer}. There is no token, or it is not valid, or lacks the right; {log_in}.'
            )
        if status < 500 and status not in (408, 412, 429):
            return ValueError(f'{failed}: {answer}.')
        return ConnectionError(f'{failed}: {answer}. Try again later.')
    reason = str(error).partition('\n')[0] or type(error).__name__
    return ConnectionError(f'{failed}: no usable answer from {hub} ({reason}). Check the network and try again.')


def no_such_file(failed: str) -> ValueError:
    """The repository lacks a file that we need."""
    return ValueError(
        f'{failed}: the repository has no such file. That of a detector holds {", ".join(LOADED_NAMES)}; '
        f"a backbone of timm's is loaded by the name 'hf-hub:org/name'. {NO_PICKLES}"
    )
