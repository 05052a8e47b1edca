"""ONNX, by PyTorch's exporter of torch.export graphs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnx import compose, numpy_helper
from onnxscript import opset18

from mbv3zoo.export.graph import DeployedNetwork
from mbv3zoo.export.suppression import one_operator
from mbv3zoo.export.tail import SuppressionTail
from mbv3zoo.export.tracing import tracing
from mbv3zoo.runtimes.export_info import METADATA_KEY
from mbv3zoo.utils.quiet import without_log, without_warnings

# In front of the names of a tail's nodes and tensors.
_TAIL = 'nms_'


def write(graph: DeployedNetwork, path: Path) -> None:
    """Writes a graph as one .onnx file, with its record in the metadata; where that says float16, computed in it.

    Args:
        graph: The graph.
        path: The file.

    Raises:
        ValueError: A weight is too large for float16.
    """
    onnx.save(make_model(graph.to_half() if graph.info.precision == 'float16' else graph), path)


def make_model(graph: DeployedNetwork | SuppressionTail) -> onnx.ModelProto:
    """A graph in ONNX, in the type that it has, with its record in the metadata."""
    # Without its messages about its versions and about what it takes for mistakes.
    with tracing(), without_log('torch.onnx'), without_warnings(), one_operator():
        program = torch.onnx.export(
            graph,
            (graph.example(),),
            dynamo=True,
            verbose=False,
            input_names=graph.input_names(),
            output_names=graph.output_names(),
            dynamic_shapes=graph.dynamic_shapes(),
            custom_translation_table={
                torch.ops.mbv3zoo.non_max_suppression.default: _non_max_suppression,
                torch.ops.aten.sort.stable: _stable_sort,
            },
        )
    assert program is not None  # with dynamo=True
    _keep_constants(program.model.graph)
    model = program.model_proto
    _pool_globally(model)
    model.metadata_props.append(onnx.StringStringEntryProto(key=METADATA_KEY, value=graph.info.model_dump_json()))
    onnx.checker.check_model(model)
    return model


def add_tail(path: Path, tail: SuppressionTail) -> None:
    """Puts a tail behind the maps of a file, in place; it gets the record of the tail."""
    network, behind = onnx.load(path), make_model(tail)
    # Both come from one exporter and one version of it; quantisation may have added operator sets.
    behind.ir_version = network.ir_version
    del network.metadata_props[:], behind.metadata_props[:]
    behind = compose.add_prefix(behind, _TAIL)
    pairs = [(name, _TAIL + name) for name in tail.input_names()]
    merged = compose.merge_models(network, behind, io_map=pairs)
    (output,) = merged.graph.output
    for node in merged.graph.node:
        for index, name in enumerate(node.output):
            if name == output.name:
                node.output[index] = 'detections'
    output.name = 'detections'
    merged.metadata_props.append(onnx.StringStringEntryProto(key=METADATA_KEY, value=tail.info.model_dump_json()))
    onnx.checker.check_model(merged)
    onnx.save(merged, path)


def _non_max_suppression(boxes: Any, scores: Any, iou_thresh: float, most: int) -> Any:
    """`mbv3zoo.export.suppression.non_max_suppression` in ONNX."""
    limits: list[Any] = [opset18.Constant(value_ints=[most])]
    limits += [opset18.Constant(value_floats=[limit]) for limit in (iou_thresh, 0.0)]
    return opset18.NonMaxSuppression(boxes, scores, *limits)


def _stable_sort(values: Any, *, stable: bool | None = None, dim: int = -1, descending: bool = False) -> Any:
    """Sorting of a vector: of equal values TopK takes the one with the lower index first."""
    return opset18.TopK(values, opset18.Shape(values), axis=dim, largest=int(descending), sorted=1)


def _keep_constants(graph: Any) -> None:
    """Gives a graph the constants that the exporter forgets where it joins several limits of one tensor, in place."""
    for value in (value for node in graph for value in node.inputs if value is not None):
        if value.const_value is not None and value.producer() is None and value.name not in graph.initializers:
            graph.register_initializer(value)


def _pool_globally(model: onnx.ModelProto) -> None:
    """Replaces squeeze-excite's mean over a map by GlobalAveragePool, in place.

    ONNX Runtime keeps maps in blocks of channels, and would have to reorder them for a general mean.
    """
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type != 'ReduceMean' or len(node.input) != 2 or node.input[1] not in constants:
            continue
        axes = sorted(int(axis) % 4 for axis in np.atleast_1d(numpy_helper.to_array(constants[node.input[1]])))
        if axes == [2, 3] and all(attribute.i for attribute in node.attribute if attribute.name == 'keepdims'):
            node.op_type = 'GlobalAveragePool'
            del node.input[1:]
            del node.attribute[:]
    used = {name for node in model.graph.node for name in node.input}
    for name in constants.keys() - used:
        model.graph.initializer.remove(constants[name])
