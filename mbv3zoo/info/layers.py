"""The rows of a YOLOv5 layer list with output shape and cost, as a table."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import nn

from mbv3zoo.detector import Detector
from mbv3zoo.info.flops import count_of, count_operations
from mbv3zoo.layer_lists.parse import is_layer_list, parse_layer_list
from mbv3zoo.layer_lists.to_config import to_config
from mbv3zoo.models.layer_lists.layer_graph import LayerGraph, MapShape
from mbv3zoo.utils.text import aligned
from mbv3zoo.utils.yaml import read_mapping


class TableRow(NamedTuple):
    """One row, as text.

    Attributes:
        row: Its number.
        sources: Numbers of the rows that it takes; -1 is the image.
        module: Its block and number of repeats, before scaling by the depth multiple.
        args: Its arguments as in the file, channels not scaled.
        output: channels x height x width of its output, on an image of the detector's size.
        parameters: Their number.
        gflops: Floating point operations on one image, in 10^9; a multiply-add counts as two.
    """

    row: str
    sources: str
    module: str
    args: str
    output: str
    parameters: str
    gflops: str


def read_layer_table(path: str | Path) -> list[TableRow] | None:
    """The rows of a layer-list file; None if the file holds settings instead.

    Args:
        path: The file.

    Raises:
        ValueError: There is an error in the file; the message gives the row.
    """
    data = read_mapping(Path(path))
    if not is_layer_list(data):
        return None
    layers = parse_layer_list(data, path)
    # YOLOv5's own backbone and neck are shown as rows too.
    detector = Detector(to_config(layers, path, named=False), device='meta')
    backbone: Any = detector.backbone.model
    assert isinstance(detector.neck, LayerGraph)
    rows = [_network_row(detector, detector.neck)] if layers.network else _graph_rows(backbone.model.graph)
    number = layers.first + len(layers.rows)
    shapes = [detector.neck.shapes[source] for source in layers.detect]
    return [*rows, *_graph_rows(detector.neck), _detect_row(number, layers.detect, shapes, detector)]


def layer_table(rows: list[TableRow]) -> str:
    """The table as text, with a header line."""
    return '\n'.join(aligned([('row', 'from', 'module', 'args', 'output', 'parameters', 'GFLOPs'), *rows]))


def _network_row(detector: Detector, neck: LayerGraph) -> TableRow:
    backbone, size = detector.backbone, detector.config.image_size
    maps = [
        f'{channels} x {size[0] // stride} x {size[1] // stride}'
        for channels, stride in zip(backbone.channels, backbone.strides, strict=True)
    ]
    operations = count_operations(backbone, size, detector.config.in_chans)
    shown = ', '.join(f'{number}: {shape}' for number, shape in zip(neck.rows.inputs, maps, strict=True))
    args = ', '.join(f'{key}={value}' for key, value in detector.config.backbone_args.items())
    return TableRow('0-4', '-1', backbone.name, args, shown, _parameters(backbone), f'{operations / 1e9:.3f}')


def _graph_rows(graph: LayerGraph) -> list[TableRow]:
    return [
        TableRow(
            str(number),
            ', '.join(map(str, row.sources)),
            row.block if row.repeats == 1 else f'{row.block} x{row.repeats}',
            ', '.join(map(str, row.args)),
            str(graph.shapes[number]),
            _parameters(layer := graph.layers[str(number)]),
            _gflops(layer, [graph.shapes[source] for source in row.sources], number in graph.many),
        )
        for number, row in enumerate(graph.rows.rows, graph.rows.first)
    ]


def _detect_row(number: int, sources: tuple[int, ...], shapes: list[MapShape], detector: Detector) -> TableRow:
    config, head = detector.config, detector.head
    outputs = ', '.join(f'{head.num_anchors} x {shape.height} x {shape.width} x {head.num_outputs}' for shape in shapes)
    args = f'{config.num_classes} classes, {head.num_anchors} anchors'
    gflops = _gflops(head, shapes, many=True)
    return TableRow(str(number), ', '.join(map(str, sources)), 'Detect', args, outputs, _parameters(head), gflops)


def _parameters(module: nn.Module) -> str:
    return f'{sum(p.numel() for p in module.parameters()):,}'


def _gflops(module: nn.Module, shapes: list[MapShape], many: bool) -> str:
    maps = [torch.empty(1, *shape, device='meta') for shape in shapes]
    return f'{count_of(module, maps if many else maps[0]) / 1e9:.3f}'
