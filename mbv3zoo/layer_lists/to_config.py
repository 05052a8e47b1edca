"""Layer list -> DetectorConfig."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from mbv3zoo.backbones import cspdarknet
from mbv3zoo.config.detector import STRIDES, DetectorConfig
from mbv3zoo.config.layer_rows import LayerRow, LayerRows, unknown_source
from mbv3zoo.layer_lists.official import BACKBONE_ROWS, BACKBONE_STAGES, NECK_INPUTS, NECK_OUTPUTS, NECK_ROWS
from mbv3zoo.layer_lists.parse import NETWORK_STRIDES, NETWORKS, SCALING, LayerList

_STAGE_STRIDES = dict(zip(BACKBONE_STAGES, (4, 8, 16, 32), strict=True))


def to_config(layers: LayerList, source: Any, named: bool = True) -> DetectorConfig:
    """The detector that a layer list describes.

    YOLOv5's own backbone and neck become `cspdarknet_v6_*` and the PAN; other rows stay rows.

    Args:
        layers: What `parse_layer_list` returned.
        source: Name used in error messages.
        named: Recognise YOLOv5's own backbone and neck; else all rows stay rows.

    Raises:
        ValueError: A value is out of range, or a row takes the output of a row that does not exist.
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


def _cspdarknet_size(layers: LayerList) -> str | None:
    """Which of YOLOv5's sizes the backbone is, or None."""
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
    """The likely cause if all numbers are off by four: a whole network that was not recognised."""
    if layers.first or layers.rows[0].args:
        return ''
    return (
        f'Row 0 ({layers.rows[0].block}) counts as one row; a whole network is a timm model, {" or ".join(NETWORKS)}.'
    )


def _first_user(rows: Iterable[LayerRow], first: int, source: int) -> str:
    return next((f'row {n} ({row.block})' for n, row in enumerate(rows, first) if source in row.sources), 'Detect')


def _renumbered(neck: LayerRows) -> tuple[LayerRow, ...] | None:
    """The rows with YOLOv5's own row numbers, to compare them with its neck; None if they cannot be the same."""
    if neck.strides != STRIDES or len(neck.rows) != len(NECK_ROWS):
        return None
    own = dict(zip(neck.inputs, NECK_INPUTS, strict=True))
    own |= {neck.first + i: NECK_INPUTS[-1] + 1 + i for i in range(len(neck.rows))}
    if tuple(own[number] for number in neck.outputs) != NECK_OUTPUTS:
        return None
    return tuple(row.model_copy(update={'sources': tuple(own[s] for s in row.sources)}) for row in neck.rows)
