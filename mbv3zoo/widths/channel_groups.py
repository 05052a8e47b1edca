"""Which channels of a network can only be removed together, found by looking at one forward pass."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from mbv3zoo.widths.blocks import find_blocks, watched
from mbv3zoo.widths.channel_rules import ChannelRules, tensors_in
from mbv3zoo.widths.records import ChannelGroup, Channels, Groups, Operation


def find_groups(network: nn.Module, images: Tensor, *, outputs_stay: bool = True) -> Groups:
    """Runs a network once, and follows channels from layer to layer.

    A layer's output channels, the input channels of the layers behind it, what a norm or a depthwise convolution has
    for them, and the channels they are added to or multiplied by depend on one another (Fang et al., "DepGraph",
    https://arxiv.org/abs/2301.12900, section 3). Followed is each single channel, so concatenations need no rules of
    their own. Channels of the network's inputs and outputs stay, and those that go into an operation that is not known.

    Args:
        network: In evaluation mode.
        images: What it is called with; a small image is enough, also one on the meta device.
        outputs_stay: Whether its outputs keep their channels.
    """
    trace = _Trace(network, images)
    with torch.no_grad(), watched(network, lambda: len(trace.recorded), trace.source) as visits, trace:
        result = network(images)
    if outputs_stay:
        trace.rules.freeze(tensors_in(result))
    groups = trace.groups()
    operations = trace.operations(groups)
    return Groups(find_blocks(visits, operations, groups, trace.channels), operations, trace.rules.unknown)


class _Trace(TorchDispatchMode):
    """Follows channels through the operations of a forward pass, and remembers these."""

    def __init__(self, network: nn.Module, images: Tensor) -> None:
        super().__init__()
        self.rules = ChannelRules()
        self.recorded: list[tuple[str, list[Tensor], list[Tensor], tuple[int, ...], tuple[int, ...]]] = []
        # Image or feature map -> the operation that gave it.
        self._sources: dict[int, int] = {id(images): -1}
        self._layers = {name for name, tensor in network.named_parameters() if tensor.dim() > 1}
        named = [*network.named_parameters(), *network.named_buffers()]
        self._own = {name: self.rules.number(tensor) for name, tensor in named if tensor.is_floating_point()}
        # What takes no part, such as a branch for training, does not tell what depends on it.
        self._seen: set[int] = set()
        self._identities = {name: id(tensor) for name, tensor in named}

    def __torch_dispatch__(self, op: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = op(*args, **(kwargs or {}))
        name = op.overloadpacket.__name__
        self.rules.follow(name, result, args, kwargs or {})
        self._seen |= {id(tensor) for tensor in tensors_in(args)}
        self._record(name, list(tensors_in(args)), list(tensors_in(result)), args)
        return result

    def source(self, tensor: Tensor) -> int:
        """Index of the operation that gave a map; -1 for the image."""
        return self._sources.get(id(tensor), -1)

    def channels(self, tensor: Tensor) -> np.ndarray | None:
        """Numbers of a map's channels, alike for those that belong together."""
        ids = self.rules.of(tensor)[1]
        return None if ids is None else np.array(self.rules.parents.roots(ids))

    def operations(self, groups: Iterable[ChannelGroup]) -> tuple[Operation, ...]:
        """What was computed on feature maps, with channels by the groups."""
        names: dict[int, tuple[str, int]] = {}
        for group in groups:
            for name, dimension, indices in group.places:
                ids = self._own[name][dimension]
                assert ids is not None
                names |= dict.fromkeys(self.rules.parents.roots(ids[indices.ravel()]), (group.name, group.units))

        def channels(tensor: Tensor) -> Channels:
            ids = self.rules.of(tensor)[1] if tensor.dim() > 1 else None
            if ids is None:
                return Channels(tensor.shape[1] if tensor.dim() > 1 else 1, ())
            count = Counter(names.get(root) for root in self.rules.parents.roots(ids))
            fixed = count.pop(None, 0)
            return Channels(fixed, tuple((group[0], number // group[1]) for group, number in count.items() if group))

        return tuple(
            Operation(
                name,
                tuple(channels(x) for x in given),
                channels(results[0]),
                (given[0].shape[2], given[0].shape[3]) if given[0].dim() == 4 else (1, 1),
                sources,
                settings,
            )
            for name, given, results, sources, settings in self.recorded
        )

    def _record(self, name: str, given: Sequence[Tensor], results: list[Tensor], args: Sequence[Any]) -> None:
        maps = [x for x in given if id(x) in self._sources]
        if not maps or not results:
            return
        settings: tuple[int, ...] = ()
        if name == 'convolution':
            settings = (*args[1].shape[2:], *args[3], *args[4], args[8])
        sources = tuple(self._sources[id(x)] for x in maps)
        self._sources |= {id(x): len(self.recorded) for x in results}
        self.recorded.append((name.strip('_'), maps, results, sources, settings))

    def groups(self) -> tuple[ChannelGroup, ...]:
        coordinates: dict[int, list[tuple[str, int, int]]] = defaultdict(list)
        for name, dimensions in self._own.items():
            if self._identities[name] not in self._seen:
                continue
            for dimension, ids in enumerate(dimensions):
                assert ids is not None
                for index, root in enumerate(self.rules.parents.roots(ids)):
                    coordinates[root].append((name, dimension, index))
        alike: dict[tuple[tuple[str, int], ...], list[list[tuple[str, int, int]]]] = defaultdict(list)
        fixed = self.rules.parents.fixed()
        for root, unit in coordinates.items():
            if root not in fixed and any(name in self._layers and not dimension for name, dimension, _ in unit):
                alike[tuple((name, dimension) for name, dimension, _ in unit)].append(unit)
        return tuple(group for units in alike.values() if (group := _group(units, self._layers)))


def _group(units: list[list[tuple[str, int, int]]], layers: set[str]) -> ChannelGroup | None:
    """Units with the same places -> their group; None where they are of one unit, which has to stay."""
    if len(units) < 2:
        return None
    indices: dict[tuple[str, int], list[list[int]]] = {}
    for unit in units:
        own: dict[tuple[str, int], list[int]] = defaultdict(list)
        for name, dimension, index in unit:
            own[name, dimension].append(index)
        for place, found in own.items():
            indices.setdefault(place, []).append(found)
    places = tuple((name, dimension, np.array(found)) for (name, dimension), found in indices.items())
    # A layer's weight, not a norm's: its outputs are what is called the width.
    name, size = next((name, found.shape[1]) for name, dimension, found in places if dimension == 0 and name in layers)
    return ChannelGroup(name.rpartition('.')[0], size, places)
