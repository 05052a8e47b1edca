"""What goes wrong between us and the Hub: which failures are tried again, and how the others are put into words."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import ssl
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from huggingface_hub import constants
from huggingface_hub.errors import (
    EntryNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    LocalEntryNotFoundError,
    LocalTokenNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from mbv3zoo.hub.bounds import MAX_WAIT, bounded
from mbv3zoo.saving.folder import LOADED_NAMES, NO_PICKLES
from mbv3zoo.utils.disk import is_told, told, why
from mbv3zoo.utils.text import one_line, printable

# One logger for all that is said about the Hub.
_logger = logging.getLogger('mbv3zoo.hub')

ATTEMPTS = 4
# The base error of the HTTP library underneath. Which library that is depends on huggingface_hub's version,
# and its transport errors (a reset connection) need be neither an HfHubHTTPError nor an OSError.
HTTP_ERROR: type[Exception] = HfHubHTTPError.__bases__[0]

BAD_TOKEN = (
    'the token holds a character that no token has (a space, a line break, a letter that is not ASCII). Copy it again '
    'to HF_TOKEN or `token`, or log in with `hf auth login`.'
)
LOG_IN = 'log in with `hf auth login`, set HF_TOKEN, or pass `token`'
_Result = TypeVar('_Result')


def is_passing(error: BaseException) -> bool:
    """Whether a request that failed so may succeed when it is repeated."""
    if isinstance(error, HfHubHTTPError):
        return error.response.status_code in (408, 429) or error.response.status_code >= 500
    # An answer that is no JSON comes from a proxy or a crashed server.
    return isinstance(error, (HTTP_ERROR, json.JSONDecodeError, UnicodeDecodeError)) and not _is_bad_header(error)


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


class _Ours(Exception):
    """Carries an error of ours through the client's calls."""

    def __init__(self, error: Exception) -> None:
        super().__init__(error)
        self.error = error


@contextlib.contextmanager
def ours() -> Iterator[None]:
    """Context manager for code of ours that `ask` calls: what it raises is not the Hub's fault, and stays as it is."""
    try:
        yield
    except Exception as error:
        raise _Ours(error) from error


@contextlib.contextmanager
def disk_errors(failed: str, folder: str | Path | None = None) -> Iterator[None]:
    """Context manager: an error of the disk (full, read-only, a file in place of a folder) names the folder in use.

    Args:
        failed: How the message of an error begins.
        folder: Where downloads are kept; by default what the system names is told.
    """
    try:
        yield
    except OSError as error:
        if is_told(error) or not is_local(error):
            raise
        where = Path(folder or os.fsdecode(error.filename or constants.HF_HOME))
        instead = 'name another folder by HF_HOME (downloads and the token) or cache_dir (downloads alone)'
        raise told(error, f'{failed}: {where} cannot be used: {why(error, where, instead)}.') from error


def is_local(error: BaseException) -> bool:
    """Whether an error comes from this system's disk; those of the network and of the client have no such number."""
    network = (HTTP_ERROR, ConnectionError, TimeoutError, ssl.SSLError)
    return isinstance(error, OSError) and error.errno is not None and not isinstance(error, network)


def ask(
    call: Callable[[], _Result],
    failed: str,
    repo_id: str,
    *,
    attempts: int = ATTEMPTS,
    passing: Callable[[BaseException], bool] = is_passing,
    most_bytes: int | None = None,
) -> _Result:
    """Calls the Hub's client, again after a failure that may pass, with growing waits and a warning each time.

    The client reads answers without looking at them first: whatever it raises (an AttributeError where a list came
    instead of a mapping) is put into words. Only errors of this system's disk, and those of code in `ours`, stay as
    they are.

    Args:
        call: What to do; must be harmless to repeat.
        failed: How the message of an error begins.
        repo_id: The repository.
        attempts: How often at most.
        passing: Which failures may pass.
        most_bytes: Size of the file that is fetched, where it is one; see `mbv3zoo.hub.bounds`.

    Returns:
        What `call` returns.

    Raises:
        ValueError, ConnectionError: See `explain`.
        OSError: The disk is full, read-only, ...
    """
    for attempt in range(1, attempts + 1):
        try:
            with bounded(most_bytes):
                return call()
        except _Ours as carried:
            raise carried.error from carried.error.__cause__
        except Exception as error:
            if is_local(error):
                raise
            explained = explain(error, failed, repo_id)
            if not passing(error) or attempt == attempts:
                raise explained from error
            wait = _wait(error, attempt)
            _logger.warning('%s Attempt %d of %d failed, the next in %d s.', explained, attempt, attempts, wait)
        time.sleep(wait)
    raise AssertionError('unreachable')


def _wait(error: BaseException, attempt: int) -> int:
    """Seconds until the next attempt: 1, 2, 4, ..., or what the server asks for."""
    asked = error.response.headers.get('Retry-After', '') if isinstance(error, HfHubHTTPError) else ''
    # A server that asks for more is asked again all the same, and then given up.
    return min(int(asked[:9]), MAX_WAIT) if asked.isdecimal() else 2 ** (attempt - 1)


def _is_bad_header(error: BaseException) -> bool:
    """Whether a request was not sent, as a header of it cannot be written: the token is the only one from outside."""
    return isinstance(error, UnicodeEncodeError) or type(error).__name__ == 'LocalProtocolError'


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
    # The client says LocalEntryNotFoundError for "not cached, and the Hub was of no help", and a bare
    # RuntimeError for an upload that failed for good. Why is told by the cause.
    if isinstance(error, (LocalEntryNotFoundError, RuntimeError)) and error.__cause__ is not None:
        error = error.__cause__
    if _is_bad_header(error):
        return ValueError(f'{failed}: {BAD_TOKEN}')
    if isinstance(error, LocalTokenNotFoundError):
        return ValueError(f'{failed}: token=True asks for the stored token, and there is none; {LOG_IN}.')
    if isinstance(error, OfflineModeIsEnabled):
        return ConnectionError(f'{failed}: the network is off (HF_HUB_OFFLINE). Unset it and try again.')
    if type(error) is ValueError and str(error).startswith('Invalid metadata in README.md'):
        return ValueError(f'{failed}: {one_line(printable(str(error)), 500)} Correct it there.')
    if isinstance(error, GatedRepoError):
        return ValueError(
            f'{failed}: its owner decides who may read it. Ask for access at {hub}/{repo_id}, then {LOG_IN}.'
        )
    if isinstance(error, RepositoryNotFoundError):
        return ValueError(
            f'{failed}: there is no such repository at {hub}, or it is private. Check the spelling; for a '
            f'private repository, {LOG_IN}.'
        )
    if isinstance(error, RevisionNotFoundError):
        return ValueError(f'{failed}: the repository has no branch, tag or commit of that name.')
    if isinstance(error, EntryNotFoundError) and not isinstance(error, LocalEntryNotFoundError):
        return no_such_file(failed)
    if isinstance(error, HfHubHTTPError):
        status = error.response.status_code
        said = one_line(printable(error.server_message or ''), 300)
        answer = f'{hub} answered {status}' + (f' ({said})' if said else '')
        if status in (401, 403):
            return ValueError(
                f'{failed}: {answer}. There is no token, or it is not valid, or lacks the right; {LOG_IN}.'
            )
        if 400 <= status < 500 and status not in (408, 412, 429):
            return ValueError(f'{failed}: {answer}.')
        return ConnectionError(f'{failed}: {answer}. Try again later.')
    reason = one_line(printable(str(error).partition('\n')[0]), 300) or type(error).__name__
    if not isinstance(error, (HTTP_ERROR, OSError, RuntimeError)):
        # Such as the KeyError of the client's, whose text alone says nothing.
        reason = f'{type(error).__name__}: {reason}'
    setting = '.' if hub == 'https://huggingface.co' else ', or set HF_ENDPOINT to another server.'
    return ConnectionError(
        f'{failed}: no usable answer from {hub} ({reason}). Check the network and try again{setting}'
    )


def no_such_file(failed: str) -> ValueError:
    """The repository lacks a file that we need."""
    return ValueError(
        f'{failed}: the repository has no such file. That of a detector holds {", ".join(LOADED_NAMES)}; '
        f"a backbone of timm's is loaded by the name 'hf-hub:org/name'. {NO_PICKLES}"
    )
