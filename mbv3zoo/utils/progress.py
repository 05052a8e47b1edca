"""Progress: a bar in a terminal, a line a minute in a log."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterable
from typing import Any

from tqdm import tqdm

from mbv3zoo.utils.log import is_quiet

_logger = logging.getLogger(__name__)
_SECONDS = 60  # between two lines


def bar(total: int | Iterable | None, description: str, show: bool = True, things: str = '') -> tqdm:
    """Progress with a total (call `update`), or over an iterable: a bar that is removed when done.

    Where standard error is no terminal and no notebook, lines at the level INFO say how far it is, one a minute.

    Args:
        total: How many there are, or what to go over; None where the number is not known.
        description: What is done.
        show: Whether it is shown at all; it is not where the package's log is set to warnings (`utils.log.is_quiet`).
        things: What is counted, in the plural, such as 'images'.
    """
    show = show and not is_quiet()
    what: dict[str, Any] = {'total': total} if isinstance(total, int) else {'iterable': total}
    what |= {'desc': description, 'leave': False, 'disable': not show}
    if show and not has_bars():
        return _Lines(**what, unit=things, mininterval=_SECONDS, maxinterval=float('inf'), miniters=1, delay=_SECONDS)
    return tqdm(**what, dynamic_ncols=True)


def write_above(text: str) -> None:
    """Prints text above the bars that are drawn; where progress is not shown, nothing."""
    if not is_quiet():
        tqdm.write(text)


def has_bars() -> bool:
    """Whether a bar can be drawn over itself: in a terminal, or a notebook."""
    stream = sys.stderr
    return stream is not None and (stream.isatty() or type(stream).__module__.startswith('ipykernel'))


class _Lines(tqdm):
    """Progress that is logged instead of drawn."""

    _told = 0.0

    def display(self, msg: str | None = None, pos: int | None = None) -> bool:
        now = self._time()
        if now - max(self._told, self.start_t) >= _SECONDS:
            self._told = now
            _logger.info('%s', self.line(now - self.start_t))
        return False

    def line(self, seconds: float) -> str:
        """How far it is after some seconds."""
        things = f' {self.unit}' if self.unit else ''
        if not self.total:
            return f'{self.desc}: {self.n}{things} in {duration(seconds)}'
        left = duration(seconds * (self.total / self.n - 1)) if self.n else 'unknown time'
        more = f' ({self.postfix})' if self.postfix else ''
        return f'{self.desc}: {self.n} of {self.total}{things}, {left} left{more}'

    def clear(self, nolock: bool = False) -> None:
        """There is nothing to clear."""

    def moveto(self, n: int) -> None:
        """There is nothing to move."""


def duration(seconds: float) -> str:
    """A time as people say it, in one unit: '40 seconds', '2 minutes', '3.5 hours'.

    Example:
        >>> duration(130), duration(1), duration(9000)
        ('2 minutes', '1 second', '2.5 hours')
    """
    if seconds < 99.5:
        number, unit = round(seconds), 'second'
    elif seconds < 99.5 * 60:
        number, unit = round(seconds / 60), 'minute'
    else:
        return f'{seconds / 3600:.1f} hours'
    return f'{number} {unit}' if number == 1 else f'{number} {unit}s'
