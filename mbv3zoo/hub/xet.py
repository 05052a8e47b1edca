"""Large files on their way: waits are told and bounded, and where Xet fails the file goes over plain HTTP.

Xet is the storage of large files that the Hub's client prefers when `hf_xet` is installed. By itself that retries a
lasting failure in silence for up to five minutes. Every large file is on the Hub by plain HTTP (LFS) too.
"""

from __future__ import annotations

import contextlib
import logging
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from huggingface_hub import constants
from huggingface_hub.utils import are_progress_bars_disabled, tqdm
from huggingface_hub.utils._xet import abort_xet_session

from mbv3zoo.hub.bounds import ended_after
from mbv3zoo.hub.errors import ours
from mbv3zoo.utils.text import one_line, printable

_logger = logging.getLogger('mbv3zoo.hub')
_Result = TypeVar('_Result')

# Seconds between two lines of the log.
TELL_EVERY = 10.0
# Xet is given up when so many seconds brought fewer than so many bytes.
LONGEST_WAIT = 30.0
LEAST_BYTES = 10_000
# The client does not tell how far an upload is. A slower one is given up, in bytes a second beyond that wait.
SLOWEST_UPLOAD = 500_000

# The functions of the client that move files by Xet.
_XET_FUNCTIONS = frozenset({'xet_get', '_upload_xet_files'})


class Transfers:
    """The large files of one pull or push: by Xet until that fails, from then on over plain HTTP."""

    def __init__(self) -> None:
        self._failure: BaseException | None = None
        self._reason = ''

    def give_up_xet(self, reason: str) -> None:
        """The next transfers go over plain HTTP, whatever the reason."""
        if self._failure is None:
            self._failure, self._reason = ConnectionError(reason), reason

    def run(self, call: Callable[[type[tqdm]], _Result], what: str, failed: str, upload: int | None = None) -> _Result:
        """Moves files, and tells at least every `TELL_EVERY` seconds how far they are.

        Args:
            call: What to do; is given a class of progress bars to use; must be harmless to repeat.
            what: What is on its way, for the log.
            failed: How the message of an error begins.
            upload: Size in bytes of what is sent; None for a download.

        Returns:
            What `call` returns.

        Raises:
            ConnectionError: Xet failed, and plain HTTP was refused too.
            Exception: Whatever else `call` raises.
        """
        limit = LONGEST_WAIT + (upload or 0) / SLOWEST_UPLOAD
        if self._failure is None:
            try:
                with ended_after(limit), _Watch(what, upload is None, limit) as watch:
                    return call(watch.bars)
            # A panic of the library in Rust is no Exception.
            except BaseException as error:
                if not _is_of_xet(error):
                    raise
                self._failure = error
                self._reason = f'no progress for {limit:.0f} s' if watch.gave_up else _reason(error)
                _logger.warning('%s: Xet failed (%s), falling back to plain HTTP.', what, self._reason)
        with _plain_http(), _Watch(what, upload is None, None) as watch:
            try:
                return call(watch.bars)
            except Exception as error:
                # What passes, and what is told well, is for the caller.
                status = getattr(getattr(error, 'response', None), 'status_code', None)
                if not isinstance(status, int) or status >= 500 or status in (408, 412, 429):
                    raise
                with ours():
                    raise ConnectionError(
                        f'{failed}: Xet failed ({self._reason}), and so did plain HTTP ({_reason(error)}). '
                        'Check the network and try again later.'
                    ) from self._failure


def _is_of_xet(error: BaseException) -> bool:
    """Whether something failed while the client moved a file by Xet."""
    if not isinstance(error, Exception) and type(error).__name__ != 'PanicException':
        return False
    return any(frame.f_code.co_name in _XET_FUNCTIONS for frame, _ in traceback.walk_tb(error.__traceback__))


def _reason(error: BaseException) -> str:
    return one_line(printable(str(error).partition('\n')[0]), 200) or type(error).__name__


_plain_lock = threading.Lock()
_plain_users = 0
_xet_was_disabled = False


@contextlib.contextmanager
def _plain_http() -> Iterator[None]:
    """Meanwhile the Hub's client does without Xet, in all threads: it has no switch for a single call."""
    global _plain_users, _xet_was_disabled
    with _plain_lock:
        if not _plain_users:
            _xet_was_disabled, constants.HF_HUB_DISABLE_XET = constants.HF_HUB_DISABLE_XET, True
        _plain_users += 1
    try:
        yield
    finally:
        with _plain_lock:
            _plain_users -= 1
            if not _plain_users:
                constants.HF_HUB_DISABLE_XET = _xet_was_disabled


class _Watch:
    """Context manager: logs how far a transfer is, and stops Xet where nothing comes any more.

    Args:
        what: What is on its way.
        counted: Whether its bytes are counted, by the bars.
        limit: Seconds without progress after which Xet is stopped; None for plain HTTP.
    """

    def __init__(self, what: str, counted: bool, limit: float | None) -> None:
        self.what, self.counted, self.limit = what, counted, limit
        self.gave_up = False
        self.bars = _counting_bars(self._count)
        # Of each bar: by Xet one tells the bytes that came, another those that are in the file.
        self._bytes: dict[int, float] = {}
        self._bytes_then = 0.0
        self._start = self._last = time.monotonic()
        self._done = threading.Event()

    def __enter__(self) -> _Watch:
        self._thread = threading.Thread(target=self._look, name='mbv3zoo-hub', daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._done.set()
        self._thread.join()

    def _count(self, bar: int, number: float) -> None:
        self._bytes[bar] = self._bytes.get(bar, 0) + number
        total = sum(self._bytes.values())
        if total - self._bytes_then >= LEAST_BYTES:
            self._bytes_then, self._last = total, time.monotonic()

    def _look(self) -> None:
        told = self._start
        while not self._done.wait(min(1.0, TELL_EVERY / 4)):
            now = time.monotonic()
            if now - told >= TELL_EVERY:
                told = now
                self._tell(now)
            if self.limit is not None and now - self._last >= self.limit:
                # It stops the Xet transfers of the whole process: the client has one session for all.
                self.gave_up = True
                abort_xet_session()

    def _tell(self, now: float) -> None:
        waited, idle = now - self._start, now - self._last
        if self.counted and idle < TELL_EVERY:
            if not _shows_bars():
                _logger.info('%s: %.1f MB in %.0f s', self.what, max(self._bytes.values()) / 1e6, waited)
            return
        bound = '' if self.limit is None else f'; falling back to plain HTTP after {self.limit:.0f} s'
        if self.counted:
            _logger.warning('%s: no progress for %.0f s%s', self.what, idle, bound)
        elif not _shows_bars():
            _logger.warning('%s: not done after %.0f s%s', self.what, waited, bound)


def _shows_bars() -> bool:
    """Whether the client's own progress bars are seen."""
    return sys.stderr is not None and sys.stderr.isatty() and not are_progress_bars_disabled()


def _counting_bars(count: Callable[[int, float], None]) -> type[tqdm]:
    """The client's progress bars, which report what they are told."""

    class Bars(tqdm):
        # Else each such class has a thread of its own.
        monitor_interval = 0

        def update(self, n: float | None = 1) -> Any:
            count(id(self), n or 0)
            return super().update(n)

    return Bars
