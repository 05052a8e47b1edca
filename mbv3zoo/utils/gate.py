"""A lock for what any number of threads use at once, or one of them changes."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager


class Gate:
    """Threads are inside together by `using()`, or one of them alone by `changing()`.

    Who wants to change waits for those inside, and who comes meanwhile waits until the change is made. A thread that is
    inside already does not wait again: not for itself, and not for others, who may wait for it.
    """

    def __init__(self) -> None:
        self._moved = threading.Condition()
        # How often each thread is inside.
        self._inside: Counter[int] = Counter()
        self._waiting, self._alone = 0, False

    @contextmanager
    def using(self) -> Iterator[None]:
        """Context manager: no other thread changes anything meanwhile."""
        own = threading.get_ident()
        with self._moved:
            self._moved.wait_for(lambda: own in self._inside or not (self._waiting or self._alone))
            self._inside[own] += 1
        try:
            yield
        finally:
            self._leave(own)

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Context manager: no other thread is inside, unless this one was inside with others before."""
        own = threading.get_ident()
        with self._moved:
            if own not in self._inside:
                self._waiting += 1
                try:
                    self._moved.wait_for(lambda: not self._inside)
                    self._alone = True
                finally:
                    self._waiting -= 1
                    self._moved.notify_all()
            self._inside[own] += 1
        try:
            yield
        finally:
            self._leave(own)

    def _leave(self, own: int) -> None:
        with self._moved:
            self._inside[own] -= 1
            if not self._inside[own]:
                del self._inside[own]
                self._alone = False
                self._moved.notify_all()
