"""Weights as they are used: what computes them anew at each call (pruning, parametrisations) made permanent."""

from __future__ import annotations

from collections.abc import Iterable
from copy import deepcopy
from typing import Any, TypeVar

import torch
from torch import nn
from torch.nn.utils import parametrize, prune, remove_spectral_norm, remove_weight_norm
from torch.nn.utils.spectral_norm import SpectralNorm
from torch.nn.utils.weight_norm import WeightNorm

from mbv3zoo.models.modes import evaluation_mode

# Of more the mean difference from others overflows.
_MOST_LOGIT = 1e18

_Network = TypeVar('_Network', bound=nn.Module)


def check_logits(logits: Iterable[torch.Tensor]) -> None:
    """Raises ValueError where logits are NaN, infinite or nearly so, which finite weights may give."""
    if not all(bool(level.abs().max() < _MOST_LOGIT) for level in logits):
        raise ValueError('the detector itself gives logits that are NaN, infinite or above 1e18; load other weights')


def whole_copy(network: _Network) -> _Network:
    """A deep copy of a network, also of one that computes weights anew at each call."""
    # Torch copies no tensors that were computed from others, as a pruned weight is.
    memo: dict[int, Any] = {
        id(value): value.detach().clone()
        for module in network.modules()
        for value in vars(module).values()
        if isinstance(value, torch.Tensor) and not value.is_leaf
    }
    return deepcopy(network, memo)


@torch.no_grad()
def make_plain(network: _Network) -> _Network:
    """Makes pruning (`torch.nn.utils.prune`), weight and spectral norms and parametrisations permanent, in place.

    Returns:
        The network, which computes what it did before in evaluation mode.

    Raises:
        ValueError: Something else computes a weight anew, which cannot be made permanent.
    """
    with evaluation_mode(network):
        for name, module in list(network.named_modules()):
            if parametrize.is_parametrized(module):
                _drop_parametrizations(module)
            for hook in list(module._forward_pre_hooks.values()):
                if isinstance(hook, prune.BasePruningMethod):
                    prune.remove(module, hook._tensor_name)
                elif isinstance(hook, WeightNorm):
                    remove_weight_norm(module, hook.name)
                elif isinstance(hook, SpectralNorm):
                    remove_spectral_norm(module, hook.name)
            if any(isinstance(vars(module).get(weight), torch.Tensor) for weight in ('weight', 'bias')):
                raise ValueError(
                    f'{name} has a weight that something computes anew at each call; make it a parameter again first'
                )
    return network


def _drop_parametrizations(module: nn.Module) -> None:
    """As `torch.nn.utils.parametrize.remove_parametrizations`, which changes a class that copies share."""
    lists = module.parametrizations
    assert isinstance(lists, nn.ModuleDict)
    found = {name: getattr(module, name).detach().clone() for name in lists}
    buffers = [name for name, own in lists.items() if {'original', 'original0'} & own._buffers.keys()]
    del module.parametrizations
    module.__class__ = type(module).__bases__[0]
    for name, value in found.items():
        if name in buffers:
            module.register_buffer(name, value)
        else:
            setattr(module, name, nn.Parameter(value))
