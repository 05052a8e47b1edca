"""The config of a network that was made narrower in place, and the model that is built from it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypeVar

from mbv3zoo.config.model import ModelConfig
from mbv3zoo.widths import DEFAULT_BASE, NARROWED
from mbv3zoo.widths.records import ChannelGroup

_Config = TypeVar('_Config', bound=ModelConfig)
_BACKBONE, _TIMM = 'backbone.', 'backbone.model.'


def narrowed_config(config: _Config, groups: Iterable[ChannelGroup], units: Mapping[str, int]) -> _Config:
    """The config with which a model is built as narrow as groups were made.

    Args:
        config: Of the model before.
        groups: Its groups.
        units: Name of a group -> units that it keeps; groups that are not named stay as they are.

    Returns:
        The same with the backbone `narrowed` and widths of its layers, and `widths` of the layers behind.
    """
    narrower = [group for group in groups if units.get(group.name, group.units) < group.units]
    widths = {group.name: units[group.name] * group.size for group in narrower}
    inside = {name.removeprefix(_TIMM): width for name, width in widths.items() if name.startswith(_BACKBONE)}
    behind = {name: width for name, width in widths.items() if not name.startswith(_BACKBONE)}
    change: dict[str, object] = {'widths': {**config.widths, **behind}}
    if inside:
        args = dict(config.backbone_args)
        base = args.pop('base', config.backbone) if config.backbone == NARROWED else config.backbone
        before = args.pop('widths', {})
        change |= {'backbone': NARROWED, 'backbone_args': {**args, 'base': base, 'widths': {**before, **inside}}}
    return type(config).parse({**config.model_dump(), **change})


def all_widths(config: ModelConfig) -> dict[str, int]:
    """Name of a layer, as in the whole model -> its width, where that is not the usual one."""
    inside = config.backbone_args.get('widths', {}) if config.backbone == NARROWED else {}
    return {**{f'{_TIMM}{name}': width for name, width in inside.items()}, **config.widths}


def wide_config(config: _Config) -> _Config | None:
    """The config without widths; None where it has none."""
    if config.backbone != NARROWED:
        return config.model_copy(update={'widths': {}}) if config.widths else None
    args = {name: value for name, value in config.backbone_args.items() if name not in ('base', 'widths')}
    base = config.backbone_args.get('base', DEFAULT_BASE)
    return config.model_copy(update={'widths': {}, 'backbone': base, 'backbone_args': args})
