"""Which layers of a graph stay in float when the others become int8: a rule on the graph's structure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple


class Operation(NamedTuple):
    """One operation of a graph, in any format.

    Attributes:
        name: The operation's name.
        outputs: Names of its output tensors.
        inputs: Names of its input tensors, without constants.
        weighted: Whether it is a convolution or a product with a constant matrix.
        pools: Whether it is a mean over a whole feature map.
    """

    name: str
    outputs: tuple[str, ...]
    inputs: tuple[str, ...]
    weighted: bool
    pools: bool


def float_layers(operations: Sequence[Operation], graph_outputs: Iterable[str]) -> list[str]:
    """Names of the operations that stay in float.

    * The last weighted ones before the outputs, and what follows them, such as the upsampling of a segmenter's logits:
      their channels are boxes, objectness and classes, whose ranges differ, but which would share one scale.
    * All from a global mean to the product with the map that it scales (squeeze-excite): these are maps of a single
      cell, so int8 saves nothing there, the conversions cost time, and an error affects a whole map.

    Args:
        operations: The graph, each operation after those whose outputs it takes.
        graph_outputs: Names of its outputs.
    """
    return [*_from_last_weighted(operations, graph_outputs), *_behind_pools(operations)]


def first_layers(operations: Sequence[Operation]) -> list[str]:
    """Names of the first weighted operation and of those that take its output.

    With them that map stays in float: it has few channels of very different ranges, and is often the input of a
    depthwise convolution. Needed only where a map has one scale for all channels.

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


def _from_last_weighted(operations: Sequence[Operation], graph_outputs: Iterable[str]) -> list[str]:
    found: list[str] = []
    wanted = set(graph_outputs)
    for operation in reversed(operations):
        if wanted.isdisjoint(operation.outputs):
            continue
        found.append(operation.name)
        if not operation.weighted:
            wanted.update(operation.inputs)
    return found


def _behind_pools(operations: Sequence[Operation]) -> list[str]:
    found: list[str] = []
    pooled: set[str] = set()
    for operation in operations:
        if operation.pools or not pooled.isdisjoint(operation.inputs):
            found.append(operation.name)
            # Where another tensor joins in, the map is back, and the squeeze-excite block ends.
            if operation.pools or pooled.issuperset(operation.inputs):
                pooled.update(operation.outputs)
    return found
