"""Widths by the names of layers, as configs hold them."""

from __future__ import annotations

import copy
from collections.abc import Mapping

import numpy as np
import torch
from torch import nn

from mbv3zoo.utils.text import nearest
from mbv3zoo.widths.channel_groups import find_groups
from mbv3zoo.widths.narrow import narrow
from mbv3zoo.widths.records import ChannelGroup

# Side of the image that channels are followed with.
_SIDE = 64
_MOST_FOUND = 32
_found: dict[tuple[str, int, bool, int], list[ChannelGroup]] = {}


def groups_of(
    network: nn.Module, in_chans: int, *, outputs_stay: bool = True, side: int = _SIDE, architecture: str = ''
) -> list[ChannelGroup]:
    """The channel groups of a network, which is neither run nor changed.

    Args:
        network: The network.
        in_chans: Channels of its images.
        outputs_stay: Whether its outputs keep their channels.
        side: Side of the image that channels are followed with.
        architecture: All that the network was built from. Groups are found once for each in a process, as that takes
            half a second; '' finds them anew.
    """
    key = architecture, in_chans, outputs_stay, side
    if not architecture or key not in _found:
        with_shapes = copy.deepcopy(network).to('meta').eval()
        images = torch.empty(1, in_chans, side, side, device='meta')
        groups = list(find_groups(with_shapes, images, outputs_stay=outputs_stay).groups)
        if not architecture:
            return groups
        if len(_found) >= _MOST_FOUND:
            _found.clear()
        _found[key] = groups
    return _found[key]


def set_widths(network: nn.Module, groups: list[ChannelGroup], widths: Mapping[str, int]) -> None:
    """Keeps the first channels of layers: for a network whose weights are read afterwards.

    Args:
        network: What is narrowed in place.
        groups: Its groups.
        widths: Name of a group -> channels of its first layer; 0 leaves its block out.

    Raises:
        ValueError: As `kept_units`.
    """
    narrow(network, groups, kept_units(groups, widths))


def kept_units(groups: list[ChannelGroup], widths: Mapping[str, int]) -> dict[str, np.ndarray]:
    """Name of a group -> indices of the units that make its width: the first ones.

    Raises:
        ValueError: There is no such group, or it cannot have that number of channels.
    """
    known = {group.name: group for group in groups}
    kept = {}
    for name, width in widths.items():
        group = known.get(name)
        if group is None:
            raise ValueError(f'widths: {name!r} has no width of its own; {nearest(name, known, "")}')
        # A single group of a grouped convolution would be an ordinary one, whose channels no longer belong together.
        least = 1 if group.size == 1 else 2
        units, rest = divmod(width, group.size) if type(width) is int else (0, 0)
        goes = bool(group.block) and type(width) is int and width == 0
        if rest or not goes and not least <= units <= group.units:
            without = f', or 0 to leave out {group.block}' if group.block else ''
            step = f', a multiple of {group.size}' if group.size > 1 else ''
            most = group.units * group.size
            expected = f'{least * group.size} to {most} channels{step}{without}'
            raise ValueError(f'widths: {name!r} is {width!r}; expected {expected}')
        kept[name] = np.arange(units)
    return kept
