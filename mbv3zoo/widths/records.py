"""What is known of a network's channels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np


class ChannelGroup(NamedTuple):
    """Channels of one width: each of the U units can be removed, from all of its places at once.

    Attributes:
        name: The first layer, in the order of their names, whose outputs they are.
        size: Channels of that layer in each unit: 1, or those of a group of a grouped convolution.
        places: (name of a parameter or buffer, dimension, int64 [U, n] indices there of each unit).
        block: Name of the residual block that is left out where no unit stays, as nothing is added to what it takes
            then; '' where at least one unit has to stay.
    """

    name: str
    size: int
    places: tuple[tuple[str, int, np.ndarray], ...]
    block: str = ''

    @property
    def units(self) -> int:
        return len(self.places[0][2])


class Channels(NamedTuple):
    """Channels of a tensor: `fixed`, and for each of `groups` so many for each unit of it that stays."""

    fixed: int
    groups: tuple[tuple[str, int], ...]

    def count(self, units: Mapping[str, int]) -> int:
        """How many there are where groups have so many units."""
        return self.fixed + sum(units[name] * each for name, each in self.groups)


class Operation(NamedTuple):
    """An operation of the forward pass on feature maps.

    Attributes:
        name: As ATen has it, without the underscore of operations in place.
        inputs: Channels of each feature map that it takes.
        outputs: Channels of that which it gives.
        size: (height, width) of the first that it takes.
        sources: Index of the operation that gave each input; -1 for the image.
        settings: Kernel, stride, padding and groups of a convolution; its groups are those before anything is removed.
    """

    name: str
    inputs: tuple[Channels, ...]
    outputs: Channels
    size: tuple[int, int]
    sources: tuple[int, ...]
    settings: tuple[int, ...] = ()


class Groups(NamedTuple):
    """What is known of a network's channels.

    Attributes:
        groups: What can be made narrower, in the order of the layers.
        operations: What is computed, in its order.
        unknown: Operations that are not understood, whose channels stay, and how often they occur.
    """

    groups: tuple[ChannelGroup, ...]
    operations: tuple[Operation, ...]
    unknown: Counter[str]
