"""Checks a checkpoint's modules against its layer list: forks change the code as well as the YAML."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable
from typing import Any

from torch import nn

from mbv3zoo.convert.module_tree import ModuleInfo
from mbv3zoo.layer_lists.parse import LayerList
from mbv3zoo.models.layer_lists.blocks import Concat, find_block, is_built_in
from mbv3zoo.models.layers import Bottleneck

_logger = logging.getLogger(__name__)

# The settings that change a module's output and cannot be told from its tensors' shapes, by class name.
_SETTINGS = {
    'Conv2d': ('kernel_size', 'stride', 'padding', 'dilation', 'groups', 'padding_mode'),
    'ConvTranspose2d': ('kernel_size', 'stride', 'padding', 'output_padding', 'dilation', 'groups'),
    'MaxPool2d': ('kernel_size', 'stride', 'padding', 'dilation', 'ceil_mode'),
    'AvgPool2d': ('kernel_size', 'stride', 'padding', 'ceil_mode', 'count_include_pad', 'divisor_override'),
    'Upsample': ('size', 'scale_factor', 'mode', 'align_corners'),
    'ZeroPad2d': ('padding',),
}
_ACTIVATIONS = (
    'SiLU', 'ReLU', 'ReLU6', 'LeakyReLU', 'ELU', 'GELU', 'Mish', 'Hardswish', 'Hardsigmoid', 'Sigmoid', 'Tanh',
)  # fmt: skip
_SLOPES = {'LeakyReLU': 'negative_slope', 'ELU': 'alpha', 'GELU': 'approximate'}
# torch's layers that leave their input as it is in evaluation mode, hold others, or are told by their tensors.
_HARMLESS = {
    'Identity', 'Dropout', 'Dropout2d', 'Sequential', 'ModuleList', 'Module', 'BatchNorm2d', 'SyncBatchNorm',
}  # fmt: skip
# timm's blocks, which trees write in their own way.
_ATTENTION = {'SE', 'ECA', 'CBAM', 'CoordAtt', 'SEModule', 'ECAModule', 'CoordAttn'}


def activation_of(modules: dict[str, ModuleInfo], network: bool) -> str:
    """The activation of the rows' convolutions, as `mbv3zoo.models.activations` takes it.

    Args:
        modules: The checkpoint's modules.
        network: Whether the first layer is a whole network, whose activations do not count.

    Raises:
        ValueError: There are several.
    """
    found = set()
    for name, info in modules.items():
        kind = _kind(info.class_name)
        if not name.endswith('.act') or kind not in _ACTIVATIONS or (network and name.startswith('model.0.')):
            continue
        setting = info.attributes.get(_SLOPES.get(kind, ''))
        keyword = 'approximate=' if kind == 'GELU' else ''
        found.add(f'nn.{kind}()' if setting in (None, 'none') else f'nn.{kind}({keyword}{setting!r})')
    if len(found) > 1:
        raise ValueError(f'its convolutions have several activations, {", ".join(sorted(found))}; expected one')
    return found.pop() if found else 'nn.SiLU()'


def check_rows(modules: dict[str, ModuleInfo], layers: LayerList, built: dict[int, nn.Module]) -> None:
    """Compares the modules of each row, and the rows that it takes, with those built here.

    Args:
        modules: The checkpoint's modules.
        layers: Its layer list.
        built: Row number -> the module built here, of Detect its convolutions.

    Raises:
        ValueError: One differs; the message gives the row, what it is and what the layer list says.
    """
    detect = layers.first + len(layers.rows)
    rows = [(number, row.block, row.sources) for number, row in enumerate(layers.rows, layers.first)]
    for number, block, sources in [*rows, (detect, 'Detect', layers.detect)]:
        place, prefix = f'row {number} ({block})', f'model.{number - layers.shift}'
        inside = [info for name, info in modules.items() if name == prefix or name.startswith(f'{prefix}.')]
        if inside:
            _check_sources(place, inside[0], number, sources)
        if not is_built_in(block) and block != 'Detect':
            continue
        _check_block(place, inside, block, built[number])
        _compare(place, _settings_of_records(inside), _settings_of_modules(built[number]))
        if block not in _ATTENTION:
            _check_activations(place, inside, built[number])
        shortcuts = [info.attributes['add'] for info in inside if _kind(info.class_name) == 'Bottleneck' and
                     'add' in info.attributes]  # fmt: skip
        own = [module.shortcut for module in built[number].modules() if isinstance(module, Bottleneck)]
        if shortcuts and shortcuts != own:
            raise ValueError(f'{place}: its bottlenecks add their input: {shortcuts}, by the list {own}')


def _check_sources(place: str, module: ModuleInfo, number: int, sources: tuple[int, ...]) -> None:
    """YOLOv5 runs a layer on the rows that its `f` says, whatever its layer list says."""
    taken = module.attributes.get('f')
    rows = taken if isinstance(taken, tuple) else (taken,)
    if not all(type(row) is int for row in rows):
        return
    if (found := tuple(row if row >= 0 else number + row for row in rows)) != sources:
        raise ValueError(f'{place}: it takes the rows {list(found)}, by the list {list(sources)}')


def _check_block(place: str, inside: list[ModuleInfo], block: str, built: nn.Module) -> None:
    """A block of another name in the table computes something else, even of the same tensors."""
    kind = _kind(inside[0].class_name) if inside else block
    if is_built_in(kind) and find_block(kind) != find_block(block):
        raise ValueError(f'{place}: it is a {kind}')
    if isinstance(built, Concat) and inside and (dimension := inside[0].attributes.get('d', built.dim)) != built.dim:
        raise ValueError(f'{place}: it joins maps along dimension {dimension!r}, by the list {built.dim}')


def _check_activations(place: str, inside: list[ModuleInfo], built: nn.Module) -> None:
    kinds = [_kind(info.class_name) for info in inside if info.class_name.startswith('torch.nn.')]
    if other := sorted(set(kinds) - _SETTINGS.keys() - set(_ACTIVATIONS) - _HARMLESS):
        raise ValueError(f'{place}: it holds a {other[0]}, which its block here has not')
    theirs = Counter(kind for info in inside if (kind := _kind(info.class_name)) in _ACTIVATIONS)
    own = Counter(kind for module in built.modules() if (kind := _own_kind(module)))
    if theirs != own:
        raise ValueError(
            f'{place}: its activations are {_counted(theirs)}, where those of its block here are {_counted(own)}; '
            'activations that are functions, or classes of a tree of its own, are not known'
        )


def _counted(kinds: Counter[str]) -> str:
    return ', '.join(f'{count} {kind}' for kind, count in sorted(kinds.items())) or 'none'


def check_network(modules: dict[str, ModuleInfo], network: nn.Module) -> None:
    """Compares the modules of a whole network, the first layer, with the matching timm model.

    Raises:
        ValueError: One differs.
    """
    inside = [info for name, info in modules.items() if name.startswith('model.0.')]

    # Squeeze-and-excitation may have linear layers there, and has 1x1 convolutions here.
    def spatial(settings: Iterable[tuple[str, dict[str, Any]]]) -> list[tuple[str, dict[str, Any]]]:
        return [item for item in settings if item[0] != 'Conv2d' or item[1]['kernel_size'] != (1, 1)]

    _compare('the network', spatial(_settings_of_records(inside)), spatial(_settings_of_modules(network)))
    theirs = [kind for info in inside if (kind := _kind(info.class_name)) in _ACTIVATIONS]
    own = [kind for module in network.modules() if (kind := _own_kind(module)) in _ACTIVATIONS]
    # Forks may call functions instead, which are no modules.
    if own and not theirs:
        _logger.warning(
            'the activations of its network are no modules of torch, and are taken to be those of %s here',
            type(network).__name__,
        )
    if theirs and theirs != own:
        first = next((i for i, pair in enumerate(zip(theirs, own, strict=False)) if pair[0] != pair[1]), 'last')
        raise ValueError(
            f'the activations of its network are not those of {type(network).__name__} here: number {first} of '
            f'{len(theirs)} differs ({len(own)} expected)'
        )


def _compare(place: str, theirs: list[tuple[str, dict[str, Any]]], own: list[tuple[str, dict[str, Any]]]) -> None:
    if [kind for kind, _ in theirs] != [kind for kind, _ in own]:
        raise ValueError(
            f'{place}: it holds {len(theirs)} layers ({_some(theirs)}), its layer list says {len(own)} ({_some(own)})'
        )
    for (kind, given), (_, expected) in zip(theirs, own, strict=True):
        if given != {key: expected[key] for key in given}:
            raise ValueError(f'{place}: a {kind} of it has {given}, its layer list says {expected}')


def _some(settings: list[tuple[str, dict[str, Any]]]) -> str:
    return ', '.join(kind for kind, _ in settings[:5]) or 'none'


def _settings_of_records(records: Iterable[ModuleInfo]) -> list[tuple[str, dict[str, Any]]]:
    found = []
    for info in records:
        kind = _kind(info.class_name)
        if kind in _SETTINGS and info.class_name.startswith('torch.nn.'):
            # Older versions of torch lack some attributes, which then have their default.
            found.append(
                (kind, {key: _pair(info.attributes[key]) for key in _SETTINGS[kind] if key in info.attributes})
            )
    return found


def _settings_of_modules(module: nn.Module) -> list[tuple[str, dict[str, Any]]]:
    found = []
    for inner in module.modules():
        for kind, keys in _SETTINGS.items():
            if isinstance(inner, getattr(nn, kind)):
                found.append((kind, {key: _pair(getattr(inner, key)) for key in keys}))
    return found


def _pair(value: Any) -> Any:
    """A number as a pair of it."""
    if isinstance(value, (list, tuple)):
        return tuple(value)
    return (value, value) if isinstance(value, (int, float)) and not isinstance(value, bool) else value


def _kind(class_name: str) -> str:
    return class_name.rpartition('.')[2]


def _own_kind(module: nn.Module) -> str:
    """The kind of a module if it is an activation; timm's own differ in case."""
    name = type(module).__name__.lower()
    return next((kind for kind in _ACTIVATIONS if kind.lower() == name), '')
