"""Small graphs that are timed compute what they stand for."""

import numpy as np
import pytest

from mbv3zoo.fitting.unit_graph import has_reader, output_size, reader_graph, unit_graph
from mbv3zoo.fitting.units import Unit
from mbv3zoo.widths.records import Channels

onnx = pytest.importorskip('onnx')
onnxruntime = pytest.importorskip('onnxruntime')
NONE = Channels(0, ())


def unit(kind, size=(12, 10), settings=(), after=()):
    return Unit(kind, size, settings, after, NONE, NONE)


UNITS = {
    'pointwise': (unit('convolution', settings=(1, 1, 1, 1, 0, 0), after=('relu',)), 16, 8, (12, 10)),
    'strided': (unit('convolution', settings=(3, 3, 2, 2, 1, 1), after=('silu',)), 3, 8, (6, 5)),
    'added': (unit('convolution', settings=(1, 1, 1, 1, 0, 0), after=('add',)), 8, 8, (12, 10)),
    'hardswish': (unit('convolution', settings=(1, 1, 1, 1, 0, 0), after=('hardswish',)), 8, 8, (12, 10)),
    'of one pixel': (unit('convolution', (1, 1), (1, 1, 1, 1, 0, 0), ('hardsigmoid',)), 8, 4, (1, 1)),
    'depthwise': (unit('depthwise', settings=(5, 5, 1, 1, 2, 2), after=('relu',)), 8, 0, (12, 10)),
    'max_pool': (unit('max_pool'), 8, 0, (12, 10)),
    'mean': (unit('mean'), 8, 0, (1, 1)),
    'scale': (unit('scale'), 8, 0, (12, 10)),
    'upsample': (unit('upsample'), 8, 0, (24, 20)),
}


def run(model, images):
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=['CPUExecutionProvider'])
    return session.run(None, {'images': images})


@pytest.mark.parametrize('quantized', [False, True])
@pytest.mark.parametrize('name', UNITS)
def test_every_unit_runs_in_the_runtime(name, quantized):
    own, inputs, outputs, size = UNITS[name]
    model = unit_graph(own, inputs, outputs, 3, quantized)
    onnx.checker.check_model(model)
    found = run(model, np.random.default_rng(0).random((1, inputs, *own.size), np.float32))
    assert output_size(own) == size
    in_a_row = own.kind in ('max_pool', 'scale')
    assert [x.shape for x in found] == [(1, outputs or inputs, 1, 1)] * (1 if in_a_row else 3)
    assert all(np.isfinite(x).all() for x in found)


def test_copies_have_weights_of_their_own():
    """Else a runtime may compute them once."""
    own, inputs, outputs, _ = UNITS['pointwise']
    first, second = run(unit_graph(own, inputs, outputs, 2), np.ones((1, inputs, *own.size), np.float32))
    assert not np.allclose(first, second)


def test_eight_bit_integers_are_used_and_near_the_floats():
    own, inputs, outputs, _ = UNITS['pointwise']
    images = np.random.default_rng(1).random((1, inputs, *own.size), np.float32)
    whole = unit_graph(own, inputs, outputs, 1, True)
    assert {'QuantizeLinear', 'DequantizeLinear'} <= {node.op_type for node in whole.graph.node}
    exact, rounded = run(unit_graph(own, inputs, outputs, 1), images)[0], run(whole, images)[0]
    assert 0 < np.abs(exact - rounded).max() < 0.1 * exact.max()


def test_what_is_behind_the_copies_is_measured_alone():
    model = reader_graph(8, (6, 5), 4)
    images = np.random.default_rng(0).random((1, 8, 6, 5), np.float32)
    found = run(model, images)
    assert len(found) == 4 and np.allclose(found[0], images.max((2, 3), keepdims=True))
    assert has_reader(UNITS['pointwise'][0]) and not has_reader(UNITS['of one pixel'][0])
