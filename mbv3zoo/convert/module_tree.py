"""The records of a pickled torch.nn.Module: its children, parameters, buffers and plain attributes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import torch

from mbv3zoo.convert.inert_pickle import Record
from mbv3zoo.convert.torch_file import TorchFile, is_tensor

# YOLOv5x6 has about 900 modules, 8 levels deep. A file may contain one module in many places, even in itself.
MAX_MODULES = 20_000
MAX_DEPTH = 40
MAX_VALUES = 100_000
# Of names and strings: copies of a long one that occurs in many places would fill the memory.
MAX_LENGTH = 200
MAX_NUMBER = 10**9


class ModuleInfo(NamedTuple):
    """What a checkpoint records of one module.

    Attributes:
        class_name: Full dotted name of its class, such as 'models.common.Conv'.
        attributes: Its public attributes that are None, bools, numbers, short strings or short tuples and lists of
            these (both as tuples): kernel_size, stride, eps, momentum, i, f, inplace and the like.
    """

    class_name: str
    attributes: dict[str, Any]


def is_module(value: Any) -> bool:
    """Whether a part of a file's object graph describes a torch.nn.Module."""
    return isinstance(value, Record) and '_modules' in value.attributes


def as_mapping(value: Any) -> dict[Any, Any]:
    """The entries of a dict, an OrderedDict or the like; the attributes of another object, such as a Namespace."""
    if isinstance(value, Record):
        return value.entries or value.attributes
    return value if isinstance(value, dict) else {}


def child_modules(module: Record) -> dict[str, Record]:
    """The children by name, in order; entries that are no modules are left out.

    Raises:
        ValueError: A name is too long.
    """
    children = as_mapping(module.attributes.get('_modules'))
    _check_names(children)
    return {name: child for name, child in children.items() if isinstance(name, str) and is_module(child)}


def walk_modules(root: Record) -> Iterator[tuple[str, Record]]:
    """All modules with their dotted names, each before its children, in the order of `nn.Module.named_modules`.

    A module that occurs in several places is returned for each.

    Raises:
        ValueError: There are too many, or too deeply nested, modules.
    """
    waiting = [('', root)]
    count = 0
    while waiting:
        name, module = waiting.pop()
        count += 1
        children = child_modules(module)
        if count + len(waiting) + len(children) > MAX_MODULES or name.count('.') > MAX_DEPTH:
            raise ValueError(f'the model has more than {MAX_MODULES} modules, or they stand in a circle')
        yield name, module
        waiting += [(f'{name}.{key}'.removeprefix('.'), child) for key, child in reversed(children.items())]


def read_tensors(file: TorchFile, root: Record) -> dict[str, torch.Tensor]:
    """Parameters and persistent buffers, as in the state dict and in its order.

    Returns:
        Name -> tensor; floating-point ones as float32.

    Raises:
        ValueError: A tensor cannot be read, or holds nan or infinity.
    """
    tensors = {}
    for prefix, module in walk_modules(root):
        found = _own_tensors(module)
        _check_names(found)
        for name, value in found.items():
            full_name = f'{prefix}.{name}'.removeprefix('.')
            if not is_tensor(value):
                raise ValueError(f'{full_name} is {value!r}, and a tensor was expected')
            try:
                tensor = file.tensor(value)
            except ValueError as error:
                raise ValueError(f'{full_name}: {error}') from error
            # Anchors are no weights; they are checked where they are used.
            if (name != 'anchors' and not tensor.isfinite().all()) or (name == 'running_var' and (tensor < 0).any()):
                raise ValueError(f'{full_name} holds numbers that no trained network has: nan, infinity or less than 0')
            tensors[full_name] = tensor.float() if tensor.is_floating_point() else tensor
    return tensors


def module_info(module: Record) -> ModuleInfo:
    """The class and the plain attributes of one module."""
    plain = {}
    for name, value in module.attributes.items():
        if not isinstance(name, str) or name.startswith('_'):
            continue
        # Some forks keep the whole printed module in an attribute.
        if _is_scalar(value) and not (isinstance(value, str) and len(value) > MAX_LENGTH):
            plain[name] = value
        elif isinstance(value, (list, tuple)) and len(value) <= 16 and all(map(_is_scalar, value)):
            plain[name] = tuple(value)
    return ModuleInfo(module.class_name, plain)


def plain_copy(value: Any) -> Any:
    """A copy of nested dicts, lists and tuples (as lists) of plain values, as a YAML file holds them.

    Raises:
        ValueError: It contains other values, or too many.
    """
    count = 0

    def copied(part: Any, depth: int) -> Any:
        nonlocal count
        count += 1
        if count > MAX_VALUES or depth > MAX_DEPTH:
            raise ValueError('the layer list is too large, or holds itself')
        if isinstance(part, str) and len(part) > MAX_LENGTH:
            raise ValueError(f'the layer list holds a text of {len(part)} characters, expected at most {MAX_LENGTH}')
        if isinstance(part, int) and abs(part) > MAX_NUMBER:
            raise ValueError(f'the layer list holds a number of {part.bit_length()} bits')
        if _is_scalar(part):
            return part
        if isinstance(part, (list, tuple)):
            return [copied(inner, depth + 1) for inner in part]
        if isinstance(part, dict) or (isinstance(part, Record) and part.entries):
            return {key: copied(inner, depth + 1) for key, inner in as_mapping(part).items()}
        raise ValueError(f'the layer list holds {part!r}; expected numbers, texts, lists and mappings')

    return copied(value, 0)


def _own_tensors(module: Record) -> dict[str, Any]:
    """Parameters, then persistent buffers, without those that are None."""
    own = {**as_mapping(module.attributes.get('_parameters'))}
    passing = _members(module.attributes.get('_non_persistent_buffers_set'))
    buffers = as_mapping(module.attributes.get('_buffers'))
    own |= {name: value for name, value in buffers.items() if name not in passing}
    return {name: value for name, value in own.items() if value is not None}


def _check_names(named: dict[Any, Any]) -> None:
    if any(isinstance(name, str) and len(name) > MAX_LENGTH for name in named):
        raise ValueError(f'a name in the model has more than {MAX_LENGTH} characters')


def _members(value: Any) -> set[str]:
    """The names in a set, which older pickle protocols write as a call with a list."""
    if isinstance(value, Record):
        value = value.args[0] if value.args else ()
    return {name for name in value if isinstance(name, str)} if isinstance(value, (set, list, tuple)) else set()


def _is_scalar(value: Any) -> bool:
    return value is None or isinstance(value, (bool, int, float, str))
