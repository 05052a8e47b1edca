"""Residual blocks, which can be left out as a whole, found while a network runs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
from torch import Tensor, nn

from mbv3zoo.widths.records import ChannelGroup, Channels, Operation


class Visit(NamedTuple):
    """A call of a module that takes one feature map and gives one of the same size.

    Attributes:
        name: Name of the module.
        taken, given: The maps.
        source: Index of the operation that gave `taken`.
        operations: Indices of the operations in the module.
    """

    name: str
    taken: Tensor
    given: Tensor
    source: int
    operations: range


@contextmanager
def watched(network: nn.Module, count: Callable[[], int], source: Callable[[Tensor], int]) -> Iterator[list[Visit]]:
    """Context manager: gives the list of visits while the network is called.

    Args:
        network: The network.
        count: How many operations there are until now.
        source: Index of the operation that gave a map.
    """
    begun: list[tuple[int, int]] = []
    visits: list[Visit] = []

    def before(module: nn.Module, args: tuple[Any, ...]) -> None:
        begun.append((count(), source(args[0]) if args and isinstance(args[0], Tensor) else -1))

    def after(name: str, args: tuple[Any, ...], kwargs: dict[str, Any], result: Any) -> None:
        first, given_by = begun.pop()
        alone = len(args) == 1 and not kwargs and isinstance(args[0], Tensor) and isinstance(result, Tensor)
        if alone and args[0].shape == result.shape:
            visits.append(Visit(name, args[0], result, given_by, range(first, count())))

    handles = []
    # Where somebody looks at what is inside, it has to stay.
    for name, module in network.named_modules():
        if name and [*module.children()] and not any(map(_is_looked_at, module.modules())):
            handles.append(module.register_forward_pre_hook(before))
            hook = lambda _, args, kwargs, result, name=name: after(name, args, kwargs, result)  # noqa: E731
            handles.append(module.register_forward_hook(hook, with_kwargs=True))
    try:
        yield visits
    finally:
        for handle in handles:
            handle.remove()


def find_blocks(
    visits: Sequence[Visit],
    operations: Sequence[Operation],
    groups: Sequence[ChannelGroup],
    channels: Callable[[Tensor], np.ndarray | None],
) -> tuple[ChannelGroup, ...]:
    """The groups, with the blocks that go with them.

    A block can be left out if it ends by adding to what it takes, and all that it adds comes through channels that
    occur in it alone: without these, it gives what it takes.

    Args:
        visits: Calls of modules.
        operations: What the network computed.
        groups: Its groups.
        channels: Numbers of a map's channels, alike for those that belong together; None where they are not known.
    """
    calls = Counter(visit.name for visit in visits)
    block_of: dict[str, str] = {}
    for visit in visits:
        inner = {group.name for group in groups if all(p[0].startswith(f'{visit.name}.') for p in group.places)}
        own = [operations[index] for index in visit.operations]
        sums = [operation for operation in own if operation.name == 'add' and len(operation.sources) == 2]
        if calls[visit.name] > 1 or not sums or visit.source not in sums[-1].sources:
            continue
        taken, given = channels(visit.taken), channels(visit.given)
        if taken is None or given is None or not np.array_equal(taken, given):
            continue
        convolutions = [operation for operation in own if operation.name == 'convolution']
        if all(_within(x.inputs[0], inner) or _within(x.outputs, inner) for x in convolutions):
            # Blocks end before those that they are in.
            block_of = dict.fromkeys(inner, visit.name) | block_of
    return tuple(group._replace(block=block_of.get(group.name, '')) for group in groups)


def _is_looked_at(module: nn.Module) -> bool:
    return bool(module._forward_hooks or module._forward_pre_hooks)


def _within(channels: Channels, groups: set[str]) -> bool:
    return not channels.fixed and bool(channels.groups) and all(name in groups for name, _ in channels.groups)
