"""What the modules of a network are and how they are set, to tell whether it was changed; values of tensors apart.

A network that was changed by hand (another activation, a pruned or replaced layer, another `eps`) has the weights of
its config, or nearly, and computes something else.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from enum import Enum
from functools import lru_cache, partial
from types import CodeType, FunctionType, MethodType
from typing import Any, NamedTuple

import torch
from timm.layers import BatchNormAct2d, FrozenBatchNormAct2d, SyncBatchNormAct
from torch import nn
from torchvision.ops.misc import FrozenBatchNorm2d

from mbv3zoo.config.base import Config
from mbv3zoo.config.model import ModelConfig
from mbv3zoo.config.tasks import parse_model_config
from mbv3zoo.models.base_network import ModelNetwork
from mbv3zoo.models.build import build_network
from mbv3zoo.utils.text import shown

# Attributes of every module. Hooks of the backward pass and of state dicts do not change what is computed.
FORWARD_HOOKS = ('_forward_hooks', '_forward_pre_hooks')
OF_ALL = vars(nn.Module()).keys() | {'_compiled_call_impl'}
# Values that are kept as they are; others in parts, or by their class alone.
_PLAIN = frozenset({type(None), bool, int, float, complex, str, bytes, torch.dtype, torch.device, CodeType})
# Functions hold values that may hold functions.
_DEPTH = 5

# What to do with a network that would be loaded as another.
UNDO = 'undo the change (prune.remove and remove_parametrizations make theirs permanent), or make it after loading'

# What the same numbers load into. Classes of our own that compute the same outside of training say so by `loads_as`.
_PLAIN_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
_SAME_CLASS = {
    FrozenBatchNorm2d: nn.BatchNorm2d,
    FrozenBatchNormAct2d: BatchNormAct2d,
    SyncBatchNormAct: BatchNormAct2d,
}
# They matter in training alone, or to speed and memory, or say where a network came from; a backbone's mean and std are
# its proposal for those of the detector, and the shapes of a layer list are those of images of the config's size.
_WITHOUT_EFFECT = frozenset({
    'momentum', 'p', 'drop_prob', 'drop_rate', 'scale_by_keep', 'inplace', 'grad_checkpointing', 'frozen_norms',
    'fused_attn', 'config', 'name', 'build_args', '_built', '_model_args', 'pretrained_cfg', 'pretrained_model_args',
    'default_cfg', 'mean', 'std', 'shapes',
})  # fmt: skip


class Part(NamedTuple):
    """A module without its tensors' values.

    Attributes:
        kind: Its class.
        tensors: Name -> shape of its parameters and persistent buffers; None where one is registered as None.
        settings: Name -> value of its other attributes; of an object that is no plain value its class.
        hooks: Its hooks that run with `forward`.
    """

    kind: type
    tensors: dict[str, torch.Size | None]
    settings: dict[str, Any]
    hooks: tuple[Any, ...]


def describe(module: nn.Module) -> dict[str, Part]:
    """Name -> part, of a module and all modules in it; equal to an earlier one where only values of tensors changed."""
    return {name: _part(one) for name, one in module.named_modules()}


def check_built(network: ModelNetwork) -> None:
    """Refuses a network that is not the one which its config builds: saved, it would come back as another.

    What matters in training alone may differ, and hooks, which are not saved. BatchNorms may be frozen or synchronised.

    Args:
        network: The network; not fused.

    Raises:
        ValueError: A module was replaced, added, removed or set otherwise; the first is named.
    """
    expected = _built_parts(network.config.model_dump_json(warnings=False))
    if found := difference(describe(network), expected):
        raise ValueError(
            f'the detector is not the one that its config builds, and would be loaded as another: {found}; {UNDO}'
        )
    for name in network.stated:
        buffer = getattr(network, name)
        stated = torch.tensor(getattr(network.config, name)).to(buffer.dtype)
        if not buffer.is_meta and not torch.equal(buffer.cpu().flatten(), stated.flatten()):
            raise ValueError(
                f'the buffer {name!r} of the detector is not what its config says, and would be loaded from there; '
                f'{"use set_anchors()" if name == "anchors" else f"build it with {name}="}'
            )


def difference(found: Mapping[str, Part], expected: Mapping[str, Part]) -> str | None:
    """The first difference that shows outside of training, in words; None where there is none.

    Args:
        found, expected: As from `describe`.
    """
    for name, part in found.items():
        if name not in expected:
            return f'it has {name} ({part.kind.__name__}), which is not in the config'
        if reason := _part_difference(part, expected[name], is_root=not name):
            return f'{name} {reason}' if name else f'it {reason}'
    missing = next((name for name in expected if name not in found), None)
    return None if missing is None else f'{missing} ({expected[missing].kind.__name__}) is missing'


def built_network(config: ModelConfig) -> ModelNetwork:
    """The network that a config builds, on the meta device; not to be changed, as it is kept."""
    return _built(config.model_dump_json(warnings=False))


def has_other_hooks(network: ModelNetwork) -> bool:
    """Whether a module has hooks on `forward` that its config does not give it."""
    expected = _built_parts(network.config.model_dump_json(warnings=False))
    return any(part.hooks != expected[name].hooks for name, part in describe(network).items())


@lru_cache(maxsize=8)
def _built(config: str) -> ModelNetwork:
    with torch.random.fork_rng(devices=[]):  # some of timm's layers draw on the meta device too
        return build_network(parse_model_config(json.loads(config)), device='meta')


@lru_cache(maxsize=8)
def _built_parts(config: str) -> dict[str, Part]:
    return describe(_built(config))


def _part_difference(found: Part, expected: Part, is_root: bool) -> str | None:
    kind = _SAME_CLASS.get(found.kind, getattr(found.kind, 'loads_as', found.kind))
    if kind is nn.SyncBatchNorm and expected.kind in _PLAIN_NORMS:
        kind = expected.kind
    # A detector may be of a class that a user derived.
    if kind is not expected.kind and not (is_root and issubclass(kind, expected.kind)):
        # torch's own quantised and traced modules have the names of those that they replace.
        same_name = kind.__name__ == expected.kind.__name__
        told = f'{kind.__module__}.{kind.__qualname__}' if same_name else found.kind.__name__
        return f'is {told}, expected {expected.kind.__name__}'
    if names := [name for name in found.tensors if name not in expected.tensors]:
        return f'has {names[0]}, which is not in the config'
    # A frozen BatchNorm counts no batches.
    for name, shape in expected.tensors.items():
        own = found.tensors.get(name, 'missing' if name != 'num_batches_tracked' else shape)
        if own != shape:
            return f'has {name} {_shape(own)}, expected {_shape(shape)}'
    if 'forward' in found.settings and 'forward' not in expected.settings:
        return 'has a forward of its own'
    for name, value in expected.settings.items():
        if name not in _WITHOUT_EFFECT and name in found.settings and found.settings[name] != value:
            return f'has {name} {shown(found.settings[name])}, expected {shown(value)}'
    return None


def _shape(shape: Any) -> str:
    return str(list(shape)) if isinstance(shape, torch.Size) else str(shape)


def _part(module: nn.Module) -> Part:
    own = vars(module)
    # Buffers that are not saved are computed, some for the size of the last image.
    passing = own['_non_persistent_buffers_set']
    buffers = {name: tensor for name, tensor in own['_buffers'].items() if name not in passing}
    tensors = {**own['_parameters'], **buffers}
    return Part(
        type(module),
        {name: None if tensor is None else tensor.shape for name, tensor in tensors.items()},
        {name: value if type(value) in _PLAIN else fixed(value) for name, value in own.items() if name not in OF_ALL},
        tuple(fixed(hook) for hooks in FORWARD_HOOKS for hook in own[hooks].values()),
    )


def is_fixed(value: Any) -> bool:
    """Whether a value cannot be changed in place."""
    kind = type(value)
    return (
        kind in _PLAIN
        or (kind is tuple and all(type(one) in _PLAIN for one in value))
        or isinstance(value, (type, Enum, Config))
    )


def fixed(value: Any, depth: int = _DEPTH) -> Any:
    """A value that stays what it is when the one given is changed in place, and equals that of its copy."""
    kind = type(value)
    if is_fixed(value):
        return value
    # Kept from the last image, or computed from the parameters.
    if isinstance(value, torch.Tensor):
        return None
    if not depth:
        return kind
    if isinstance(value, (tuple, list)):
        return kind.__name__, *(fixed(one, depth - 1) for one in value)
    if isinstance(value, (set, frozenset)):
        return frozenset(fixed(one, depth - 1) for one in value if type(one) in _PLAIN)
    if isinstance(value, dict):
        return {key: fixed(one, depth - 1) for key, one in value.items() if not isinstance(one, torch.Tensor)}
    if isinstance(value, MethodType):
        return fixed(value.__func__, depth), type(value.__self__)
    if isinstance(value, partial):
        return tuple(fixed(one, depth - 1) for one in (value.func, value.args, value.keywords))
    if isinstance(value, FunctionType):
        return value.__code__, *(fixed(one, depth - 1) for one in (value.__defaults__, _closed_over(value)))
    return kind


def _closed_over(function: FunctionType) -> list[Any]:
    """The values of a function's free variables; an empty one, which is not set yet, is left out."""
    values = []
    for cell in function.__closure__ or ():
        try:
            values.append(cell.cell_contents)
        except ValueError:
            continue
    return values
