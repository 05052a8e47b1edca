"""Bounds on what a server may answer: bytes, seconds, the wait that it asks for, and names that lead out of the cache.

The Hub's client reads an answer to its end, whatever comes, waits as long as a server asks it to, and often has no
time-out of its own. What it sends and receives while `bounded` is open is looked at on the way.
"""

from __future__ import annotations

import contextlib
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import Any, NamedTuple

from huggingface_hub.utils import get_session

# Bytes of an answer that is no file. The largest are the lists of a repository's files.
ANSWER_LIMIT = 16 * 2**20
# The client makes paths of these headers, whatever they are.
_NAMES = ('ETag', 'X-Linked-ETag', 'X-Repo-Commit')
# Seconds without a byte; seconds in all; and bytes per second that a file comes at, at the least, after those.
SILENCE, PATIENCE, SLOWEST = 120, 120, 2000
# Bytes of an answer where a file was expected: it may be an error with an explanation.
ERROR_LIMIT = 2**16
# Seconds that the client may be asked to wait before it tries again.
MAX_WAIT = 60


class _Bounds(NamedTuple):
    most_bytes: int
    seconds: float


_bounds: ContextVar[_Bounds | None] = ContextVar('bounds of an answer', default=None)
_end: ContextVar[float | None] = ContextVar('end of requests without a time-out', default=None)
_open = 0
_lock = threading.Lock()


class Excess(Exception):
    """An answer is not read on: it is too long, takes too long, or gives no name to keep it by."""


@contextlib.contextmanager
def bounded(most_bytes: int | None = None) -> Iterator[None]:
    """Context manager: answers to the Hub's client in this thread are cut off by `Excess` where they exceed a bound.

    Args:
        most_bytes: Size of the file that is fetched; by default it is none, and `ANSWER_LIMIT` holds.
    """
    global _open
    client = get_session()
    hooks = client.event_hooks
    if _look_at not in hooks['response']:
        client.event_hooks = {
            'request': [*hooks['request'], _give_timeout],
            'response': [*hooks['response'], _look_at],
        }
    bounds = _Bounds(ANSWER_LIMIT, PATIENCE)
    if most_bytes is not None:
        bounds = _Bounds(max(most_bytes, ERROR_LIMIT), PATIENCE + most_bytes / SLOWEST)
    token = _bounds.set(bounds)
    with _lock:
        _open += 1
    try:
        yield
    finally:
        _bounds.reset(token)
        with _lock:
            _open -= 1


@contextlib.contextmanager
def ended_after(seconds: float) -> Iterator[None]:
    """Context manager: requests that the client gives no time-out, such as for a token of Xet, end after this time.

    By itself the client repeats them, and each may wait for `SILENCE`.

    Args:
        seconds: From now on, for all of them.
    """
    token = _end.set(time.monotonic() + seconds)
    try:
        yield
    finally:
        _end.reset(token)


def _bounds_of(request: Any) -> _Bounds | None:
    """None where the request is none of ours."""
    # The client uploads in threads of its own.
    threads = _Bounds(ANSWER_LIMIT, PATIENCE) if _open and request.method != 'GET' else None
    return _bounds.get() or threads


def _give_timeout(request: Any) -> None:
    timeout = request.extensions.get('timeout') or {}
    if _bounds_of(request) is not None:
        silence, end = float(SILENCE), _end.get()
        if end is not None and not timeout.get('read'):
            silence = min(silence, end - time.monotonic())
            if silence <= 0:
                raise Excess('no answer in time')
        kinds = ('connect', 'read', 'write', 'pool')
        request.extensions['timeout'] = {kind: timeout.get(kind) or silence for kind in kinds}


def _look_at(response: Any) -> None:
    bounds = _bounds_of(response.request)
    if bounds is None:
        return
    _bound_wait(response.headers)
    if response.request.method == 'HEAD':
        _check_names(response.headers)
    end = time.monotonic() + bounds.seconds
    # The client reads by one of these, which calls the other: by what is sent, and by what is unpacked from it.
    response.iter_raw = _watched(response.iter_raw, bounds.most_bytes, end)
    response.iter_bytes = _watched(response.iter_bytes, bounds.most_bytes, end)


def _bound_wait(headers: Any) -> None:
    """Shortens the wait that a server asks for; what cannot be read as one is taken out."""
    asked = headers.pop('Retry-After', '').strip()
    if asked.isascii() and asked.isdecimal():
        headers['Retry-After'] = str(min(int(asked[:9]), MAX_WAIT))
    wait = re.search(r'\bt\s*=\s*0*([0-9]{1,9})\b', headers.get('RateLimit', ''))
    if wait is None or int(wait[1]) > MAX_WAIT:
        headers.pop('RateLimit', None)


def _check_names(headers: Any) -> None:
    for name in _NAMES:
        if not re.fullmatch(r'(W/)?"?[\w-]+"?', headers.get(name, 'none')):
            raise Excess(f'its {name} is {headers[name][:80]!r}, expected a hash')


def _watched(read: Callable[..., Iterator[bytes]], most: int, end: float) -> Callable[..., Iterator[bytes]]:
    def watched(*arguments: Any, **options: Any) -> Iterator[bytes]:
        received = 0
        for piece in read(*arguments, **options):
            received += len(piece)
            if received > most:
                raise Excess(f'the answer has more than {most} bytes, which are expected at most')
            if time.monotonic() > end:
                raise Excess('the answer takes too long')
            yield piece

    return watched
