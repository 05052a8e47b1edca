"""Small ONNX graphs that compute one unit several times, to be timed."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from mbv3zoo.fitting.units import Unit

_OPERATORS: dict[str, tuple[str, dict[str, Any]]] = {
    'relu': ('Relu', {}),
    'hardswish': ('HardSwish', {}),
    'hardsigmoid': ('HardSigmoid', {'alpha': 1 / 6, 'beta': 0.5}),
    'sigmoid': ('Sigmoid', {}),
    'hardtanh': ('Clip', {}),
    'leaky_relu': ('LeakyRelu', {}),
    'elu': ('Elu', {}),
}
# The first opset with HardSwish that both runtimes know, and the file version that goes with it.
_OPSET, _IR = 18, 10


def unit_graph(unit: Unit, inputs: int, outputs: int, copies: int, quantized: bool = False) -> onnx.ModelProto:
    """A graph with several copies of a unit, each with weights of its own, beside or behind one another.

    Copies beside one another end in their maximum over the map, which `reader_graph` has alone: what is measured of
    such a graph holds the reading of its outputs too.

    Args:
        unit: What is computed.
        inputs, outputs: Channels.
        copies: How many.
        quantized: Whether activations and weights are 8-bit integers.
    """
    graph = _Graph(quantized)
    x = graph.input('images', (inputs, *unit.size))
    for _ in range(copies):
        if unit.kind in ('max_pool', 'scale'):
            x = _one(graph, unit, x, inputs, outputs)
        else:
            y = _one(graph, unit, x, inputs, outputs)
            size = output_size(unit)
            graph.output(graph.largest(y, size) if has_reader(unit) else y)
    if unit.kind in ('max_pool', 'scale'):
        graph.output(graph.largest(x, unit.size))
    return graph.model()


def reader_graph(channels: int, size: tuple[int, int], copies: int, quantized: bool = False) -> onnx.ModelProto:
    """What ends the copies of `unit_graph`, alone."""
    graph = _Graph(quantized)
    x = graph.input('images', (channels, *size))
    for _ in range(copies):
        graph.output(graph.largest(x, size))
    return graph.model()


def has_reader(unit: Unit) -> bool:
    """Whether `unit_graph` has a maximum behind each copy."""
    return unit.kind in ('convolution', 'depthwise', 'upsample') and output_size(unit) != (1, 1)


def output_size(unit: Unit) -> tuple[int, int]:
    """(height, width) of what a unit gives."""
    height, width = unit.size
    if unit.kind == 'upsample':
        return 2 * height, 2 * width
    if unit.kind == 'mean':
        return 1, 1
    if not unit.settings:
        return unit.size
    kernel, stride, padding = unit.settings[:2], unit.settings[2:4], unit.settings[4:6]
    sides = zip(unit.size, kernel, stride, padding, strict=True)
    height, width = ((side + 2 * p - k) // s + 1 for side, k, s, p in sides)
    return height, width


def _one(graph: _Graph, unit: Unit, x: str, inputs: int, outputs: int) -> str:
    """A copy of a unit; returns the name of what it gives."""
    if unit.kind == 'max_pool':
        return graph.node('MaxPool', x, kernel_shape=[5, 5], pads=[2] * 4)
    if unit.kind == 'mean':
        return graph.node('GlobalAveragePool', x)
    if unit.kind == 'scale':
        return graph.node('Mul', x, graph.constant(graph.random(1, inputs, 1, 1)))
    if unit.kind == 'upsample':
        twice = graph.constant(np.array([1, 1, 2, 2], np.float32))
        return graph.node(
            'Resize', x, '', twice, mode='nearest', coordinate_transformation_mode='asymmetric', nearest_mode='floor'
        )
    groups = 1 if unit.kind == 'convolution' else inputs
    outputs = outputs if groups == 1 else inputs
    kernel, stride, padding = unit.settings[:2], unit.settings[2:4], unit.settings[4:6]
    weight = graph.weight(graph.random(outputs, inputs // groups, *kernel) / (inputs // groups * kernel[0]))
    bias = graph.constant(np.zeros(outputs, np.float32))
    y = graph.node(
        'Conv', x, weight, bias, kernel_shape=kernel, strides=stride, pads=(*padding, *padding), group=groups
    )
    for name in unit.after:
        if name == 'add':
            y = graph.node('Add', graph.rounded(y), graph.constant(graph.random(1, outputs, *output_size(unit))))
        elif name in _OPERATORS:
            operator, settings = _OPERATORS[name]
            y = graph.node(operator, y, **settings)
        else:  # silu; and mish and gelu, which cost about as much
            y = graph.node('Mul', y, graph.node('Sigmoid', y))
    return graph.rounded(y)


class _Graph:
    """A graph that is being written."""

    def __init__(self, quantized: bool) -> None:
        self.quantized = quantized
        self._numbers = np.random.default_rng(0)
        self._nodes: list[onnx.NodeProto] = []
        self._constants: list[onnx.TensorProto] = []
        self._inputs: list[onnx.ValueInfoProto] = []
        self._outputs: list[onnx.ValueInfoProto] = []

    def input(self, name: str, shape: tuple[int, ...]) -> str:
        self._inputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, *shape]))
        return self.rounded(name)

    def output(self, name: str) -> None:
        self._outputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 'channels', 1, 1]))

    def node(self, operator: str, *inputs: str, **settings: Any) -> str:
        name = f'y{len(self._nodes)}'
        self._nodes.append(helper.make_node(operator, inputs, [name], name=name, **settings))
        return name

    def constant(self, numbers: np.ndarray) -> str:
        name = f'c{len(self._constants)}'
        self._constants.append(numpy_helper.from_array(numbers, name))
        return name

    def random(self, *shape: int) -> np.ndarray:
        return self._numbers.random(shape, np.float32)

    def rounded(self, x: str) -> str:
        """A map in 8-bit integers, as a pair of nodes that runtimes make one with their neighbours."""
        if not self.quantized:
            return x
        scale, zero = self.constant(np.array(0.02, np.float32)), self.constant(np.array(64, np.uint8))
        return self.node('DequantizeLinear', self.node('QuantizeLinear', x, scale, zero), scale, zero)

    def weight(self, numbers: np.ndarray) -> str:
        if not self.quantized:
            return self.constant(numbers)
        scale = np.abs(numbers).reshape(len(numbers), -1).max(1) / 127
        whole = np.rint(numbers / scale.reshape(-1, 1, 1, 1)).astype(np.int8)
        zero = self.constant(np.zeros(len(numbers), np.int8))
        return self.node('DequantizeLinear', self.constant(whole), self.constant(scale), zero, axis=0)

    def largest(self, x: str, size: tuple[int, int]) -> str:
        # Integers stay such in a maximum over a window, which then is the whole map.
        return self.node('MaxPool', x, kernel_shape=size) if self.quantized else self.node('GlobalMaxPool', x)

    def model(self) -> onnx.ModelProto:
        graph = helper.make_graph(self._nodes, 'unit', self._inputs, self._outputs, self._constants)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid('', _OPSET)], ir_version=_IR)
