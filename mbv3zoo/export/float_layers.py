"""Which layers of a graph stay in float where the others become int8: a rule on the graph's structure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple


class Operation(NamedTuple):
    """One operation of a graph, in any format.

    Attributes:
        name: The operation's name.
        outputs: Names of the tensors that it gives.
        inputs: Names of those it takes; constants are left out.
        weighted: Whether it is a convolution or a product with a constant matrix.
        pools: Whether it is a mean over a whole map.
    """

    name: str
    outputs: tuple[str, ...]
    inputs: tuple[str, ...]
    weighted: bool
    pools: bool


def float_layers(operations: Sequence[Operation], graph_outputs: Iterable[str]) -> list[str]:
    """Names of the operations that stay in float.

    * The last weighted ones before the outputs: their channels are boxes, objectness and classes, which have nothing in
      common but would share one scale.
    * All from a global mean to the product with the map that its result scales (squeeze-excite): numbers of a single
      cell, so that int8 saves nothing there, going to int8 and back costs time, and an error counts for a whole map.

    Args:
        operations: The graph, each operation behind those whose outputs it takes.
        graph_outputs: Names of its outputs.
    """
    return [*_last_weighted(operations, graph_outputs), *_behind_pools(operations)]


def first_layers(operations: Sequence[Operation]) -> list[str]:
    """Names of the first weighted operation and of those that take its map.

    That map stays in float with them: few channels of very different ranges, the first often a depthwise convolution's
    input. Only where maps have one scale for all channels does it need that.

    Args:
        operations: As for `float_layers`.
    """
    first = next((operation for operation in operations if operation.weighted), None)
    if first is None:
        return []
    found, seen = [first.name], set(first.outputs)
    for operation in operations:
        if seen.isdisjoint(operation.inputs):
            continue
        if operation.weighted:
            found.append(operation.name)
        else:
            seen.update(operation.outputs)
    return found


def _last_weighted(operations: Sequence[Operation], graph_outputs: Iterable[str]) -> list[str]:
    found, wanted = [], set(graph_outputs)
    for operation in reversed(operations):
        if wanted.isdisjoint(operation.outputs):
            continue
        if operation.weighted:
            found.append(operation.name)
        else:
            wanted.update(operation.inputs)
    return found


def _behind_pools(operations: Sequence[Operation]) -> list[str]:
    found, pooled = [], set()
    for operation in operations:
        if operation.pools or not pooled.isdisjoint(operation.inputs):
            found.append(operation.name)
            # Where another tensor joins in, the map is back, and the part ends.
            if operation.pools or pooled.issuperset(operation.inputs):
                pooled.update(operation.outputs)
    return found
