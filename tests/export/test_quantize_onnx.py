import numpy as np
import pytest

onnx = pytest.importorskip('onnx')
pytest.importorskip('onnxruntime')

from onnx import helper, numpy_helper  # noqa: E402

from mbv3zoo.export import quantize_onnx  # noqa: E402


@pytest.fixture
def model():
    """A convolution, squeeze-excite behind the next one, and a head."""
    weights = {f'w{i}': np.ones((2, 2, 1, 1), np.float32) for i in range(4)}
    nodes = [
        helper.make_node('Conv', ['x', 'w0'], ['a'], 'stem'),
        helper.make_node('Conv', ['a', 'w1'], ['b'], 'next'),
        helper.make_node('Relu', ['b'], ['c'], 'act'),
        helper.make_node('GlobalAveragePool', ['c'], ['m'], 'mean'),
        helper.make_node('Conv', ['m', 'w2'], ['s'], 'reduce'),
        helper.make_node('Mul', ['c', 's'], ['d'], 'gate'),
        helper.make_node('Conv', ['d', 'w0'], ['e'], 'project'),
        helper.make_node('Conv', ['e', 'w3'], ['y'], 'head'),
    ]
    x, y = (helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ['b', 2, 4, 4]) for name in 'xy')
    constants = [numpy_helper.from_array(value, name) for name, value in weights.items()]
    graph = helper.make_graph(nodes, 'g', [x], [y], constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid('', 17)], ir_version=8)


def test_layers_that_stay_float(model):
    assert sorted(quantize_onnx.float_layers_of(model)) == ['gate', 'head', 'mean', 'next', 'reduce', 'stem']


def test_ranges_are_means_over_the_images(model):
    low, high = np.zeros((2, 1, 2, 4, 4), np.float32)
    low[0, 0, 0, 0], high[0, 0, 0, 0] = -4, 2
    for batches in ([low, high], [np.concatenate([low, high])]):
        assert quantize_onnx._ranges(model, batches)['x'] == (-2, 1)
