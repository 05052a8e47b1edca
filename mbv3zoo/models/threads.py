"""Threads of torch on a CPU: as many as are of use."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch

from mbv3zoo.utils.cores import usable_cores

_logger = logging.getLogger(__name__)

# Steps with a number of threads: one in which memory and threads are made, then those that are timed.
_WARM, _TIMED = 1, 2
# Fewer threads are taken where a step has less than this share of the time of more.
_FASTER = 0.95


def is_given() -> bool:
    """Whether the environment says how many threads torch has: then that holds."""
    return 'OMP_NUM_THREADS' in os.environ


@contextmanager
def torch_threads(threads: int | None = None, processes: int = 1) -> Iterator[None]:
    """Context manager: the threads of torch in this process, which has its own number again at the end.

    Args:
        threads: Their number; None takes no more than there are cores to use, unless the environment says a number.
        processes: Number of processes that share the cores.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(threads or _usual(processes))
    try:
        yield
    finally:
        torch.set_num_threads(before)


class ThreadTimer:
    """Times steps with all of torch's threads, then with half of them, and so on, and keeps the fastest number.

    Where other programs use the cores too, all threads wait for the one whose core is taken: two may need twenty times
    as long as one.

    Attributes:
        seconds: Number of threads -> seconds of its fastest step.
        done: Whether the number is chosen. It is at once where there is one thread only.
    """

    def __init__(self) -> None:
        self.seconds: dict[int, float] = {}
        self.done = torch.get_num_threads() == 1
        self._steps = 0

    @contextmanager
    def step(self) -> Iterator[None]:
        """Context manager: times a step, as long as none is chosen."""
        start = time.perf_counter()
        yield
        if not self.done:
            self._add(torch.get_num_threads(), time.perf_counter() - start)

    def _add(self, threads: int, seconds: float) -> None:
        self._steps += 1
        if self._steps > _WARM:
            self.seconds[threads] = min(seconds, self.seconds.get(threads, seconds))
        if self._steps < _WARM + _TIMED:
            return
        self._steps = 0
        best = self._best()
        if best == threads > 1:
            torch.set_num_threads(threads // 2)
            return
        torch.set_num_threads(best)
        self.done = True
        if best < max(self.seconds):
            times = ', '.join(f'{own:.3g} s with {each}' for each, own in self.seconds.items())
            _logger.info('threads: a step takes %s; %d used, --threads sets another number', times, best)

    def _best(self) -> int:
        best, *fewer = self.seconds
        for threads in fewer:
            if self.seconds[threads] < _FASTER * self.seconds[best]:
                best = threads
        return best


def use_fastest_threads(threads: int | None, step: Callable[[], object]) -> None:
    """Sets the threads of torch in this process, for good.

    Args:
        threads: Their number; None takes the fastest of all cores and fewer, unless the environment says a number.
        step: Something small that stands for what will be done; called a few times.
    """
    torch.set_num_threads(threads or _usual())
    if threads is None and not is_given():
        timer = ThreadTimer()
        while not timer.done:
            with timer.step():
                step()


def _usual(processes: int = 1) -> int:
    now = torch.get_num_threads()
    return now if is_given() else min(now, max(usable_cores() // processes, 1))
