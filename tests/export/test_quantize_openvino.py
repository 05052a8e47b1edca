import numpy as np
import pytest

openvino = pytest.importorskip('openvino')

from openvino import opset13  # noqa: E402

from mbv3zoo.export import quantize_openvino  # noqa: E402


def conv(x, name, depthwise=False):
    shape = (2, 1, 1, 1, 1) if depthwise else (2, 2, 1, 1)
    function = opset13.group_convolution if depthwise else opset13.convolution
    return function(x, np.ones(shape, np.float32), [1, 1], [0, 0], [0, 0], [1, 1], name=name)


def test_layers_that_stay_float():
    x = opset13.parameter([1, 2, 4, 4], np.float32)
    c = opset13.relu(conv(conv(conv(x, 'stem'), 'depthwise', depthwise=True), 'next'))
    mean = opset13.reduce_mean(c, np.array([2, 3]), keep_dims=True, name='mean')
    # A mean over rows alone is no pool.
    rows = opset13.reduce_mean(c, np.array([2]), keep_dims=True, name='rows')
    gate = opset13.multiply(c, conv(mean, 'reduce'), name='gate')
    head = conv(conv(opset13.add(gate, rows), 'project'), 'head')
    model = openvino.Model([head], [x])
    assert sorted(quantize_openvino.float_layers_of(model)) == ['depthwise', 'gate', 'head', 'mean', 'reduce']
