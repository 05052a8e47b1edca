from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from mbv3zoo.benchmark.graph_input import noise, read_input
from mbv3zoo.runtimes.graph_input import GraphInput

FLOAT = np.dtype(np.float32)


def read(inputs, runtime='onnxruntime'):
    return read_input(SimpleNamespace(runtime=runtime, inputs=inputs), Path('a.onnx'), None)


def test_says_what_it_cannot_time():
    one = GraphInput((1, 3, 64, 64), FLOAT)
    texts = GraphInput((1, 3, 8, 8), np.dtype(object))
    assert read([one]) == one
    for ports in ([one, GraphInput((1, 2), FLOAT)], [GraphInput((1, 3), FLOAT)], [texts], []):
        with pytest.raises(ValueError, match='a.onnx: its input is .*; expected one of pictures'):
            read(ports)
    with pytest.raises(ValueError, match='nothing that can be read'):
        read(None, 'ncnn')


def test_torchscript_does_not_say():
    assert read(None, 'torchscript') == GraphInput((None, 3, None, None), FLOAT)


def test_noise_fills_the_type():
    for dtype, largest in (('uint8', 255), ('int8', 127)):
        pixels = noise((1, 3, 64, 64), dtype)
        assert pixels.dtype == dtype and pixels.min() == 0 and pixels.max() == largest
    pixels = noise((1, 3, 64, 64), 'float16', 1)
    assert pixels.dtype == np.float16 and 0 <= pixels.min() < 0.1 and 0.9 < pixels.max() <= 1
