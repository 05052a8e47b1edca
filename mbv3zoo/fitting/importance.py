"""What each channel is worth: how much the loss would change without it, to first order."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from torch import Tensor, nn

from mbv3zoo.models.base_network import ModelNetwork
from mbv3zoo.widths.records import ChannelGroup

Batch = tuple[Tensor, Any]


def taylor_importance(
    network: ModelNetwork, groups: Sequence[ChannelGroup], loss: nn.Module, batches: Iterable[Batch]
) -> dict[str, np.ndarray]:
    """First-order importance of units: the square of the loss' change, were the unit's norms to give 0, over batches.

    Molchanov et al., "Importance Estimation for Neural Network Pruning" (https://arxiv.org/abs/1906.10771), section
    3.1, with gates behind batch norms: (weight * its gradient + bias * its gradient) ** 2. Layers without a norm have
    the product of their own weights with their gradients.

    Args:
        network: What is to be made narrower; a copy learns nothing, its gradients are taken.
        groups: Its groups.
        loss: As in training.
        batches: Images, uint8 [B, C, H, W], and their targets.

    Returns:
        Name of a group -> float64 [units].
    """
    network = copy.deepcopy(network).eval().requires_grad_(True)
    found = {group.name: np.zeros(group.units) for group in groups}
    gates = {group.name: _gates(network, group) for group in groups}
    for images, targets in batches:
        network.zero_grad()
        loss(network(images.float() / 255), targets)[0].backward()
        parameters = dict(network.named_parameters())
        for group in groups:
            for names, indices in gates[group.name]:
                changes = np.sum([_change(parameters[name]) for name in names], axis=0)
                found[group.name] += changes[indices].sum(1) ** 2
    return found


def _gates(network: nn.Module, group: ChannelGroup) -> list[tuple[list[str], np.ndarray]]:
    """Per layer that makes a group's channels: its parameters, and the indices of each unit in them."""
    modules = dict(network.named_modules())
    parameters = dict(network.named_parameters())
    norms: list[tuple[list[str], np.ndarray]] = []
    layers: list[tuple[list[str], np.ndarray]] = []
    for name, dimension, indices in group.places:
        layer, _, own = name.rpartition('.')
        if own == 'weight' and dimension == 0 and name in parameters:
            names = [name, *([f'{layer}.bias'] if f'{layer}.bias' in parameters else [])]
            (norms if isinstance(modules[layer], nn.BatchNorm2d) else layers).append((names, indices))
    return norms or layers


def _change(parameter: Tensor) -> np.ndarray:
    """The loss' change, to first order, were the numbers of each channel 0: float64 [channels]."""
    if parameter.grad is None:
        return np.zeros(len(parameter))
    return -(parameter * parameter.grad).detach().double().reshape(len(parameter), -1).sum(1).numpy()
