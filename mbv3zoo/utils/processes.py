"""Several processes that torchrun or accelerate started, which share one piece of work and write one result."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

T = TypeVar('T')


def _alone(items: list[Any]) -> list[Any]:
    return items


@dataclass(frozen=True)
class Processes:
    """The processes of one piece of work; by default this one alone.

    Attributes:
        index: Of this process, from 0.
        count: Number of processes.
        gather: Lists of all processes, one behind the other in their order; called by all of them.
    """

    index: int = 0
    count: int = 1
    gather: Callable[[list[Any]], list[Any]] = _alone

    @property
    def is_first(self) -> bool:
        return self.index == 0

    def share(self, items: int) -> range:
        """The indices of this process's share of so many items: every `count`-th."""
        return range(self.index, items, self.count)

    @contextmanager
    def entered_by_first(self, claim: Callable[[], AbstractContextManager[T]]) -> Iterator[T]:
        """Context manager: what the first process enters; all get its value.

        Raises:
            ValueError: Entering it raised one, or an OSError, which the first process raises as it is.
        """
        with ExitStack() as stack:
            sent: list[Any] = []
            failure: Exception | None = None
            if self.is_first:
                try:
                    sent = [(stack.enter_context(claim()), '')]
                except (ValueError, OSError) as error:
                    failure, sent = error, [(None, str(error))]
            ((value, text),) = self.gather(sent)
            if failure or text:
                raise failure or ValueError(text)
            yield value

    def first_before_others(self, read: Callable[[], T]) -> T:
        """Calls a function in the first process, and then in all others: these find what it put into a cache."""
        if not self.is_first:
            self.gather([])
            return read()
        try:
            return read()
        finally:
            self.gather([])


ALONE = Processes()


@contextmanager
def processes() -> Iterator[Processes]:
    """Context manager: the processes that torchrun or accelerate started this one with, as their variables say."""
    count = int(os.environ.get('WORLD_SIZE') or 1)
    if count == 1:
        yield ALONE
        return
    from torch import distributed

    # Objects in memory are exchanged, whatever device the network runs on.
    distributed.init_process_group('gloo')

    def gather(items: list[Any]) -> list[Any]:
        parts: list[Any] = [None] * count
        distributed.all_gather_object(parts, items)
        return [item for part in parts for item in part]

    try:
        yield Processes(distributed.get_rank(), count, gather)
    finally:
        distributed.destroy_process_group()


def own_device(device: str | None) -> str | None:
    """The device of this process where none is asked for: the GPU of its number, if there are several processes."""
    if device is None and int(os.environ.get('WORLD_SIZE') or 1) > 1:
        import torch

        if torch.cuda.is_available():
            return f'cuda:{int(os.environ.get("LOCAL_RANK") or 0) % torch.cuda.device_count()}'
    return device
