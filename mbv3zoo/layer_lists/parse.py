"""YOLOv5's layer-list files -> DetectorConfig. Names come from tables, arguments are plain values; nothing is run."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from timm.models import is_model

from mbv3zoo.backbones import cspdarknet
from mbv3zoo.config.backbone_args import check_backbone_args
from mbv3zoo.config.detector import DEFAULT_ANCHORS, STRIDES, DetectorConfig
from mbv3zoo.config.layer_rows import LayerRow, LayerRows, unknown_source
from mbv3zoo.layer_lists.official import BACKBONE_ROWS, BACKBONE_STAGES, NECK_INPUTS, NECK_OUTPUTS, NECK_ROWS

# Keys of a file that create_detector may be asked to change.
SCALING = ('depth_multiple', 'width_multiple', 'activation')
# 'inplace' is about memory only, and changes nothing here.
KEYS = ('nc', *SCALING, 'anchors', 'ch', 'inplace', 'backbone', 'head')
# Names that hand-patched trees give to a whole network.
_NETWORKS = {'MobileNetV3': 'mbv3_yolo_large', 'MobileNetV3Small': 'mbv3_yolo_small'}
_OWN_NAMES = ' or '.join(_NETWORKS)
# A whole network stands for the rows 0 to 4: its maps at strides 2, 4, 8, 16, 32.
NETWORK_STRIDES = {number: 2 ** (number + 1) for number in range(5)}
_STAGE_STRIDES = dict(zip(BACKBONE_STAGES, (4, 8, 16, 32), strict=True))
_LONGEST_VALUE = 200


class LayerList(NamedTuple):
    """What stands in a file, read and checked row by row.

    Attributes:
        num_classes, in_chans: As in `DetectorConfig`.
        anchors: For each level (width, height) in pixels, or their number.
        depth_multiple, width_multiple, activation: Compound scaling and activation.
        network: The timm model that is the whole backbone, and its arguments; None where the backbone is rows.
        rows: All rows but the network and Detect.
        first: Number of the first of `rows`: 5 after a network, else 0.
        backbone: How many of `rows` stand under `backbone`.
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
        """What a layer's number in YOLOv5's tensors lacks to its row's: a network is one layer there, and five rows."""
        return self.first - 1 if self.network else 0


def is_layer_list(data: Mapping[str, Any]) -> bool:
    """Whether what stands in a YAML file is a layer list, and not settings of a DetectorConfig."""
    return isinstance(data.get('backbone'), list) or 'head' in data


def parse_layer_list(data: Mapping[str, Any], source: Any) -> LayerList:
    """Reads the values of a layer-list file.

    Args:
        data: What stands in the file.
        source: What errors call it.

    Raises:
        ValueError: A key, a row or an argument is not what it should be; the row is named by its number.
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


def to_config(layers: LayerList, source: Any, named: bool = True) -> DetectorConfig:
    """The detector that a file describes.

    YOLOv5's own backbone and neck become `cspdarknet_v6_*` and the PAN, as if they had been asked for by name; other
    rows stay rows.

    Args:
        layers: What `parse_layer_list` read.
        source: What errors call it.
        named: Look for what has a name of its own; else everything stays rows.

    Raises:
        ValueError: A value is out of range, or a row takes a map that there is not.
    """
    data = {name: getattr(layers, name) for name in ('num_classes', 'in_chans', 'anchors', *SCALING)}
    network, rows, first = layers.network, layers.rows, layers.first
    strides: Mapping[int, int] | None = NETWORK_STRIDES if network else None
    size = _cspdarknet_size(layers) if named else None
    if size is not None:
        split = len(BACKBONE_ROWS)
        network, rows, first, strides = (f'cspdarknet_v6_{size}', {}), rows[split:], split, _STAGE_STRIDES
    elif network is None:
        rows, first = rows[layers.backbone :], layers.backbone

    inputs = _taken_from_outside(rows, first, layers.detect)
    if not inputs:
        raise ValueError(f'{source}: no row of head takes a map of the backbone. {_hint(layers)}')
    if strides is not None:
        for number in inputs:
            if number not in strides:
                raise ValueError(
                    f'{source}: {_first_user(rows, first, number)} {unknown_source(number, list(strides))}'
                )
    neck_data = {'rows': rows, 'first': first, 'inputs': inputs, 'outputs': layers.detect}
    neck_data['strides'] = None if strides is None else [strides[number] for number in inputs]
    try:
        neck = LayerRows.parse(neck_data, source)
    except ValueError as error:
        raise ValueError(f'{error}. {_hint(layers)}' if _hint(layers) else str(error)) from error
    if network is None:
        backbone = {'rows': layers.rows[: layers.backbone], 'first': 0, 'inputs': (-1,), 'outputs': inputs}
        args = {'rows': LayerRows.parse(backbone, source).model_dump(mode='json'), 'act_layer': layers.activation}
        scaling = {'depth_multiple': layers.depth_multiple, 'width_multiple': layers.width_multiple}
        network = ('yolov5_layers', args | scaling)
    is_pan = named and _renumbered(neck) == NECK_ROWS
    return DetectorConfig.parse(
        {**data, 'backbone': network[0], 'backbone_args': network[1], 'neck': 'pan' if is_pan else neck}, source
    )


class _Reader:
    """Reads rows of one file."""

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
            # Anchors are not bounded like other numbers; the config checks them.
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
        """An argument: a plain value, or 'nc' or 'anchors'. A text may hold a plain value, as YAML's `None` does."""
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
    return _NETWORKS.get(module) or (module if is_model(module.split('.')[0]) else None)


def _anchors(value: Any, source: Any) -> Any:
    """[[w, h, w, h, ...] a level] -> ((w, h), ...) a level; a number stays."""
    if _is_int(value) or value is DEFAULT_ANCHORS:
        return value
    if not isinstance(value, list) or not all(isinstance(level, list) and len(level) % 2 == 0 for level in value):
        raise ValueError(
            f'{source}: anchors must be a number, or for each level a list of width, height, width, height, ...; '
            f'given {value!r}'
        )
    return tuple(tuple(zip(level[::2], level[1::2], strict=True)) for level in value)


def _cspdarknet_size(layers: LayerList) -> str | None:
    """Which of YOLOv5's sizes the backbone is, if it is one."""
    split = len(BACKBONE_ROWS)
    taken = _taken_from_outside(layers.rows[split:], split, layers.detect)
    if layers.network or layers.rows[:split] != BACKBONE_ROWS or not set(taken) <= set(BACKBONE_STAGES):
        return None
    if layers.activation != 'silu':
        return None
    multiples = (layers.depth_multiple, layers.width_multiple)
    return next((size for size, own in cspdarknet.SIZES.items() if own == multiples), None)


def _taken_from_outside(rows: Iterable[LayerRow], first: int, outputs: Iterable[int]) -> list[int]:
    sources = {source for row in rows for source in row.sources} | set(outputs)
    return sorted(source for source in sources if source < first)


def _hint(layers: LayerList) -> str:
    """Says what may be the cause where all numbers are off by four: a network that was not recognised."""
    if layers.first or layers.rows[0].args:
        return ''
    return f'Row 0 ({layers.rows[0].block}) counts as one row; a whole network is a timm model, {_OWN_NAMES}.'


def _first_user(rows: Iterable[LayerRow], first: int, source: int) -> str:
    return next((f'row {n} ({row.block})' for n, row in enumerate(rows, first) if source in row.sources), 'Detect')


def _renumbered(neck: LayerRows) -> tuple[LayerRow, ...] | None:
    """The rows with YOLOv5's own numbers, to be compared with its neck's; None where they cannot be the same."""
    if neck.strides != STRIDES or len(neck.rows) != len(NECK_ROWS):
        return None
    own = dict(zip(neck.inputs, NECK_INPUTS, strict=True))
    own |= {neck.first + i: NECK_INPUTS[-1] + 1 + i for i in range(len(neck.rows))}
    if tuple(own[number] for number in neck.outputs) != NECK_OUTPUTS:
        return None
    return tuple(row.model_copy(update={'sources': tuple(own[s] for s in row.sources)}) for row in neck.rows)
