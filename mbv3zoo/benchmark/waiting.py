"""How long this process has waited for a CPU, because other programs had it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

_TASKS = Path('/proc/self/task')


def waited_seconds() -> float:
    """Seconds until now in which threads of this process were ready to run and did not, summed over the threads."""
    total = 0
    for thread in _TASKS.iterdir():
        try:
            # Nanoseconds on a CPU, nanoseconds waiting for one, number of slices.
            total += int((thread / 'schedstat').read_text().split()[1])
        except OSError:  # it has ended
            continue
    return total * 1e-9


def find_clock() -> Callable[[], float] | None:
    """`waited_seconds` where the system reports it, on Linux; else None."""
    return waited_seconds if any(_TASKS.glob('*/schedstat')) else None
