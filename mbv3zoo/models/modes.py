"""Evaluation mode for one use of a network, whatever its own mode is and whichever threads use it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from copy import copy
from functools import partial
from operator import is_
from types import FunctionType, MethodType
from typing import Any

from torch import nn
from torch.jit import ScriptModule

from mbv3zoo.utils.gate import Gate

# Networks that predict are inside. What would change their results is done alone: `train()`, `fuse()`, and the making
# of graphs, for which torch switches kernels and replaces `nn.Module.__call__` in the whole process.
running = Gate()

# Attributes that a twin shares with its module: weights may be replaced, and hooks know whom they belong to.
_SHARED = vars(nn.Module()).keys() - {'_modules', 'training'}


@contextmanager
def evaluating(network: nn.Module) -> Iterator[nn.Module]:
    """Context manager: gives the module that runs a network in evaluation mode; the network's flags are not touched.

    It is the network itself where it is in evaluation mode, else its `evaluation_twin`. A call of `train()`, of the
    detector or its backbone, in another thread waits until the end.
    """
    with running.using():
        yield evaluation_twin(network) if any(module.training for module in network.modules()) else network


def evaluation_twin(network: nn.Module) -> nn.Module:
    """A network in evaluation mode that shares weights, buffers and hooks with another, but has modules of its own.

    It can run while the other is trained. Hooks are called with the twin's modules.

    Raises:
        ValueError: A module's `forward` was replaced by a function, which may call the module that is being trained.
    """
    # Those that torch.compile has wrapped run as they are.
    modules = {module: getattr(module, '_orig_mod', module) for module in network.modules()}
    # Not by their own __new__: that of a torch.fx graph makes another class.
    twins = {module: object.__new__(type(module)) for module in modules.values()}
    known = {module: twins[own] for module, own in modules.items()}
    for module, twin in twins.items():
        attributes = dict(vars(module))
        if isinstance(attributes.get('forward'), FunctionType) or isinstance(module, ScriptModule):
            raise ValueError(
                f'the detector is in training mode, and its {type(module).__name__} has a forward of its own, which '
                'cannot be run in evaluation mode beside that; call eval() before you predict'
            )
        attributes.pop('_compiled_call_impl', None)
        vars(twin).update(
            (name, value if name in _SHARED else _rebound(value, known)) for name, value in attributes.items()
        )
        twin.training = False
    return known[network]


def _rebound(value: Any, twins: dict[nn.Module, nn.Module]) -> Any:
    """The value of an attribute with twins in place of modules, in containers too."""
    if isinstance(value, nn.Module):
        return twins.get(value, value)
    if isinstance(value, MethodType):
        return MethodType(value.__func__, _rebound(value.__self__, twins))
    if isinstance(value, partial):
        args, options = (_rebound(part, twins) for part in (value.args, value.keywords))
        return partial(_rebound(value.func, twins), *args, **options)
    # Containers without modules are shared: what a module keeps in them is kept.
    if type(value) in (list, tuple, set):
        parts = [_rebound(part, twins) for part in copy(value)]
        return value if all(map(is_, parts, value)) else type(value)(parts)
    if isinstance(value, dict):
        changed = {key: made for key, part in copy(value).items() if (made := _rebound(part, twins)) is not part}
        if changed:
            value = copy(value)
            value.update(changed)
    return value


@contextmanager
def evaluation_mode(model: nn.Module) -> Iterator[None]:
    """Puts a model in evaluation mode; afterwards, errors included, every training flag is as it was.

    For a model that no other thread uses. Module by module, since a user may have frozen only some of them.
    """
    training = [module for module in model.modules() if module.training]
    if training:
        model.eval()
    try:
        yield
    finally:
        for module in training:
            module.training = True
