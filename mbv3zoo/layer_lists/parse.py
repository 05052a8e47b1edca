"""Parses YOLOv5's layer-list files. Names are looked up, arguments are literals; no code is run."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from timm.models import is_model

from mbv3zoo.config.backbone_args import check_backbone_args
from mbv3zoo.config.detector import DEFAULT_ANCHORS
from mbv3zoo.config.layer_rows import LayerRow

# Keys that create_detector takes as arguments.
SCALING = ('depth_multiple', 'width_multiple', 'activation')
# 'inplace' concerns memory only and is ignored.
KEYS = ('nc', *SCALING, 'anchors', 'ch', 'inplace', 'backbone', 'head')
# Names of whole networks in common forks of YOLOv5.
NETWORKS = {'MobileNetV3': 'mbv3_yolo_large', 'MobileNetV3Small': 'mbv3_yolo_small'}
# A whole network takes the place of rows 0 to 4: its feature maps at strides 2, 4, 8, 16, 32.
NETWORK_STRIDES = {number: 2 ** (number + 1) for number in range(5)}
_LONGEST_VALUE = 200


class LayerList(NamedTuple):
    """The contents of a layer-list file, parsed and checked row by row.

    Attributes:
        num_classes, in_chans: As in `DetectorConfig`.
        anchors: Per level (width, height) in pixels, or their number.
        depth_multiple, width_multiple, activation: Compound scaling and activation.
        network: Name and arguments of the timm model that is the whole backbone; None if the backbone is rows.
        rows: All rows except the network and Detect.
        first: Number of the first of `rows`: 5 after a network, else 0.
        backbone: How many of `rows` are under `backbone`.
        detect: Numbers of the rows that Detect takes.
    """

    num_classes: int
    in_chans: int
    anchors: Any
    depth_multiple: float
    width_multiple: float
    activation: str
    network: tuple[str, dict[str, Any]] | None
    rows: tuple[LayerRow, ...]
    first: int
    backbone: int
    detect: tuple[int, ...]

    @property
    def shift(self) -> int:
        """Row number minus the layer number in YOLOv5's tensor names, where a whole network is one layer."""
        return self.first - 1 if self.network else 0


def is_layer_list(data: Mapping[str, Any]) -> bool:
    """Whether a YAML file's contents are a layer list, not a DetectorConfig."""
    return any(isinstance(data.get(key), list) for key in ('backbone', 'head'))


def parse_layer_list(data: Mapping[str, Any], source: Any) -> LayerList:
    """Parses the contents of a layer-list file.

    Args:
        data: Its contents.
        source: Name used in error messages.

    Raises:
        ValueError: A key, row or argument is invalid; the message gives the row number.
    """
    if 'scales' in data:
        raise ValueError(f'{source}: it has scales, as YOLOv8 and later; expected a file of YOLOv5 v6 or v7')
    if unknown := sorted(map(str, data.keys() - set(KEYS))):
        raise ValueError(f'{source}: unknown key {", ".join(unknown)}; a layer list has {", ".join(KEYS)}')
    for key in ('nc', 'backbone', 'head'):
        if key not in data:
            raise ValueError(f'{source}: a layer list needs {key!r}, which is missing')
    sections = {key: data[key] for key in ('backbone', 'head')}
    for key, rows in sections.items():
        if not isinstance(rows, list) or not rows:
            raise ValueError(f'{source}: {key} must be a list of rows [from, number, module, args], given {rows!r}')
    anchors = _anchors(DEFAULT_ANCHORS if data.get('anchors') is None else data['anchors'], source)
    reader = _Reader(source, {'nc': data['nc'], 'anchors': anchors})

    raw = [*sections['backbone'], *sections['head']]
    backbone, network, first = len(sections['backbone']), None, 0
    if isinstance(raw[0], list) and len(raw[0]) == 4 and (name := _network_name(raw[0][2])):
        network, first = (name, reader.network_args(raw[0])), len(NETWORK_STRIDES)
        raw, backbone = raw[1:], backbone - 1
    rows = [reader.row(number, row) for number, row in enumerate(raw, first)]
    if not rows or rows[-1].block != 'Detect':
        last = rows[-1].block if rows else network and network[0]
        advice = 'Segmentation is not supported.' if last == 'Segment' else 'Add [[...], 1, Detect, [nc, anchors]].'
        raise ValueError(f'{source}: the last row must be Detect, given {last}. {advice}')
    *rows, detect = rows
    for number, row in enumerate(rows, first):
        if row.block in ('Detect', 'Segment'):
            raise ValueError(f'{source}: row {number} ({row.block}) must be the last row, and the only one of its kind')
    args = (*detect.args, *(data['nc'], anchors)[len(detect.args) :])
    if len(args) != 2:
        raise ValueError(f'{source}: Detect takes [nc, anchors], given {list(detect.args)}')
    if args[0] != data['nc']:
        raise ValueError(f'{source}: nc is {data["nc"]!r}, and Detect has {args[0]!r} classes; give the same, or nc')
    activation = 'silu' if data.get('activation') is None else data['activation']
    return LayerList(
        num_classes=args[0],
        in_chans=data.get('ch', 3),
        anchors=args[1] if args[1] is anchors else _anchors(args[1], source),
        depth_multiple=data.get('depth_multiple', 1.0),
        width_multiple=data.get('width_multiple', 1.0),
        activation='silu' if activation in ('nn.SiLU()', 'SiLU()') else activation,
        network=network,
        rows=tuple(rows),
        first=first,
        backbone=backbone,
        detect=detect.sources,
    )


class _Reader:
    """Parses the rows of one file."""

    def __init__(self, source: Any, variables: dict[str, Any]) -> None:
        self.source, self.variables = source, variables

    def row(self, number: int, row: Any) -> LayerRow:
        place = f'{self.source}: row {number}'
        if not isinstance(row, list) or len(row) != 4:
            raise ValueError(f'{place} must be [from, number, module, args], given {row!r}')
        sources, repeats, block, args = row
        place = f'{place} ({block})'
        sources = sources if isinstance(sources, list) else [sources]
        if not sources or not all(_is_int(source) for source in sources):
            raise ValueError(f'{place}: from must be the number of a row or a list of them, given {row[0]!r}')
        if not _is_int(repeats) or repeats < 1:
            raise ValueError(f'{place}: number must be 1 or more, given {repeats!r}')
        if not isinstance(block, str):
            raise ValueError(f'{place}: module must be a name, given {block!r}')
        if not isinstance(args, list):
            raise ValueError(f'{place}: args must be a list, given {args!r}')
        # Negative numbers count back from the row.
        sources = [source if source >= 0 else number + source for source in sources]
        if any(source < -1 for source in sources):
            raise ValueError(f'{place}: from {row[0]!r} is before the picture')
        values = [self.value(arg, place) for arg in args]
        if block in ('Detect', 'Segment'):
            if repeats != 1:
                raise ValueError(f'{place}: number must be 1, given {repeats}')
            # Anchors have other bounds than arguments; the config checks them.
            return LayerRow.model_construct(sources=tuple(sources), repeats=1, block=block, args=tuple(values))
        return LayerRow.parse({'sources': sources, 'repeats': repeats, 'block': block, 'args': values}, place)

    def network_args(self, row: list[Any]) -> dict[str, Any]:
        sources, repeats, name, args = row
        if sources != -1 or repeats != 1:
            raise ValueError(f'{self.source}: row 0 ({name}) is a whole network: its from must be -1, its number 1')
        if args not in ([], None) and not (isinstance(args, list) and len(args) == 1 and isinstance(args[0], dict)):
            raise ValueError(
                f'{self.source}: row 0 ({name}) is a whole network: its args must be [], or a mapping of arguments for '
                f'timm.create_model such as [{{drop_path_rate: 0.1}}]; given {args!r}'
            )
        arguments = dict(args[0]) if args else {}
        check_backbone_args(arguments, f'{self.source}: row 0 ({name})')
        return arguments

    def value(self, value: Any, place: str) -> Any:
        """An argument: a literal, 'nc' or 'anchors'. A string may hold a literal: YAML reads `None` as one."""
        if isinstance(value, list):
            return [self.value(item, place) for item in value]
        if value is None or isinstance(value, (bool, int, float)):
            return value
        if isinstance(value, str):
            if value in self.variables:
                return self.variables[value]
            if re.fullmatch(r'[A-Za-z_][\w.]*', value) and value not in ('None', 'True', 'False'):
                return value
            if len(value) <= _LONGEST_VALUE:
                try:
                    return self.value(_as_lists(ast.literal_eval(value)), place)
                except (ValueError, SyntaxError, MemoryError, RecursionError):
                    pass
        raise ValueError(
            f'{place}: the argument {str(value)[:_LONGEST_VALUE]!r} is not a plain value; expected numbers, texts, '
            'True, False, None, lists of these, nc or anchors. Expressions are not computed: write their result.'
        )


def _as_lists(value: Any) -> Any:
    return [_as_lists(item) for item in value] if isinstance(value, (tuple, list)) else value


def _is_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _network_name(module: Any) -> str | None:
    if not isinstance(module, str):
        return None
    return NETWORKS.get(module) or (module if is_model(module.split('.')[0]) else None)


def _anchors(value: Any, source: Any) -> Any:
    """[w, h, w, h, ...] per level -> ((w, h), ...) per level; a number stays."""
    if _is_int(value) or value is DEFAULT_ANCHORS:
        return value
    if not isinstance(value, list) or not all(isinstance(level, list) and len(level) % 2 == 0 for level in value):
        raise ValueError(
            f'{source}: anchors must be a number, or for each level a list of width, height, width, height, ...; '
            f'given {value!r}'
        )
    return tuple(tuple(zip(level[::2], level[1::2], strict=True)) for level in value)
