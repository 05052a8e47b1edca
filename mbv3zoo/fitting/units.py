"""The parts of a network that a runtime computes in one step: a convolution and what follows, for one."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from mbv3zoo.widths.records import Channels, Operation

# What runtimes compute while they write a convolution's output.
_ACTIVATIONS = {'relu', 'hardswish', 'hardsigmoid', 'silu', 'sigmoid', 'hardtanh', 'leaky_relu', 'elu', 'mish', 'gelu'}
# Operations that move maps or cost nothing beside the others.
_TIMED = {'max_pool2d_with_indices': 'max_pool', 'mean': 'mean', 'mul': 'scale', 'upsample_nearest2d': 'upsample'}
_NORM = 'native_batch_norm'


class Unit(NamedTuple):
    """One step of a network.

    Attributes:
        kind: 'convolution', 'depthwise' (also other grouped ones), 'max_pool', 'mean' (of a map), 'scale' (a map by one
            number per channel) or 'upsample'.
        size: (height, width) of the map that it takes.
        settings: Of a convolution (kernel height, width, stride y, x, padding y, x).
        after: Activations and additions that follow a convolution.
        inputs, outputs: Channels of the first map that it takes, and of what it gives.
    """

    kind: str
    size: tuple[int, int]
    settings: tuple[int, ...]
    after: tuple[str, ...]
    inputs: Channels
    outputs: Channels

    def widths(self, units: Mapping[str, int]) -> tuple[int, int]:
        """Number of channels in and out where groups have so many units."""
        return self.inputs.count(units), self.outputs.count(units)

    @property
    def groups(self) -> frozenset[str]:
        """Names of the groups that its time depends on."""
        return frozenset(name for channels in (self.inputs, self.outputs) for name, _ in channels.groups)


def find_units(operations: Sequence[Operation]) -> list[Unit]:
    """Divides a forward pass into units; norms are left out, as they are folded into convolutions."""
    users = defaultdict(list)
    for index, operation in enumerate(operations):
        for source in set(operation.sources):
            users[source].append(index)
    units, done = [], set()
    for index, operation in enumerate(operations):
        if index in done:
            continue
        if operation.name == 'convolution':
            after = []
            for follower in _followers(index, operations, users):
                done.add(follower)
                name = operations[follower].name.strip('_')
                if name != _NORM:
                    after.append(name)
            *settings, groups = operation.settings
            kind = 'convolution' if groups == 1 else 'depthwise'
            units.append(_unit(kind, operation, settings, after))
        elif operation.name in _TIMED:
            units.append(_unit(_TIMED[operation.name], operation, (), ()))
    return units


def _unit(kind: str, operation: Operation, settings: Sequence[int], after: Sequence[str]) -> Unit:
    return Unit(kind, operation.size, tuple(settings), tuple(after), operation.inputs[0], operation.outputs)


def _followers(index: int, operations: Sequence[Operation], users: Mapping[int, list[int]]) -> list[int]:
    """What follows a convolution and is computed with it: norms and activations, and a last addition."""
    found: list[int] = []
    while len(users[index]) == 1:
        (index,) = users[index]
        name = operations[index].name
        if name not in _ACTIVATIONS and name not in (_NORM, 'add'):
            break
        found.append(index)
        if name == 'add':
            break
    return found
