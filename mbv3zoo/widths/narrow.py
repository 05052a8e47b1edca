"""Makes a network narrower in place: removes units of its channel groups from all of their places."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

import numpy as np
import torch
from torch import nn

from mbv3zoo.widths.records import ChannelGroup


@torch.no_grad()
def narrow(network: nn.Module, groups: Iterable[ChannelGroup], kept: Mapping[str, np.ndarray]) -> None:
    """Keeps some units of groups, and with them their weights; what is left computes as if the others gave zeros.

    Where none stays, the group's block is replaced by an `nn.Identity`.

    Args:
        network: What `find_groups` was given.
        groups: What it has found.
        kept: Name of a group -> indices of the units that stay; groups that are not named stay as they are.
    """
    dropped: dict[tuple[str, int], list[np.ndarray]] = defaultdict(list)
    for group in groups:
        if group.name in kept and group.block and not len(kept[group.name]):
            network.set_submodule(group.block, nn.Identity())
        elif group.name in kept:
            gone = np.setdiff1d(np.arange(group.units), kept[group.name])
            for name, dimension, indices in group.places:
                dropped[name, dimension].append(indices[gone].ravel())
    tensors = {**dict(network.named_parameters()), **dict(network.named_buffers())}
    changed: dict[str, torch.Tensor] = {}
    for (name, dimension), parts in dropped.items():
        if name not in tensors:  # of a feature extractor that ends before, or of a block that is left out
            continue
        tensor = changed.get(name, tensors[name])
        stays = np.setdiff1d(np.arange(tensor.shape[dimension]), np.concatenate(parts))
        changed[name] = tensor.index_select(dimension, torch.from_numpy(stays).to(tensor.device))
    for name, tensor in changed.items():
        layer, _, own = name.rpartition('.')
        _replace(network.get_submodule(layer), own, tensor)


def _replace(layer: nn.Module, name: str, tensor: torch.Tensor) -> None:
    """Gives a layer a smaller tensor, and the numbers of channels that follow from it."""
    old = getattr(layer, name)
    if isinstance(layer, nn.Conv2d) and name == 'weight':
        layer.groups = layer.groups * len(tensor) // len(old) if layer.groups > 1 else 1
        layer.out_channels, layer.in_channels = len(tensor), tensor.shape[1] * layer.groups
    elif isinstance(layer, nn.Linear) and name == 'weight':
        layer.out_features, layer.in_features = tensor.shape
    elif isinstance(layer, nn.BatchNorm2d):
        layer.num_features = len(tensor)
    if isinstance(old, nn.Parameter):
        tensor = nn.Parameter(tensor.contiguous(memory_format=torch.preserve_format), old.requires_grad)
    setattr(layer, name, tensor)
