from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from mbv3zoo.benchmark.graph_input import GraphInput, noise, read_input

FLOAT = np.dtype(np.float32)


def port(shape, type='tensor(float)'):
    return SimpleNamespace(shape=shape, type=type)


def session(*ports, runtime='onnxruntime'):
    return SimpleNamespace(runtime=runtime, session=SimpleNamespace(get_inputs=lambda: list(ports)))


def read(*ports):
    return read_input(session(*ports), Path('a.onnx'), None)


def test_reads_what_another_programs_graph_takes():
    assert read(port([1, 3, 64, 96])) == GraphInput((1, 3, 64, 96), FLOAT)
    assert read(port(['batch', 3, -1, None], 'tensor(uint8)')) == GraphInput((None, 3, None, None), np.dtype('uint8'))
    assert read(port([1, 3, 8, 8], 'tensor(float16)')).dtype == np.float16


def test_says_what_it_cannot_time():
    for ports in ([port([1, 3, 64, 64]), port([1, 2])], [port([1, 3])], [port([1, 3, 8, 8], 'tensor(string)')], []):
        with pytest.raises(ValueError, match='a.onnx: its input is .*; expected one of pictures'):
            read(*ports)
    with pytest.raises(ValueError, match='nothing that can be read'):
        read_input(session(runtime='ncnn'), Path('a.ncnn.param'), None)


def test_torchscript_does_not_say():
    assert read_input(session(runtime='torchscript'), Path('a'), None) == GraphInput((None, 3, None, None), FLOAT)


def test_static_shapes_stay_and_dynamic_ones_get_size_and_batch():
    fixed, free = GraphInput((2, 3, 64, 96), FLOAT), GraphInput((None, None, None, None), FLOAT)
    assert fixed.fill(None, 2) == fixed.fill((64, 96), 2) == (2, 3, 64, 96)
    assert free.fill((64, 96), 4) == (4, 3, 64, 96) and free.fill(None, 1, (32, 64)) == (1, 3, 32, 64)
    with pytest.raises(ValueError, match='pictures of 64 x 96 only, given 96 x 96'):
        fixed.fill((96, 96), 2)
    with pytest.raises(ValueError, match='batches of 2 only, given 1'):
        fixed.fill(None, 1)


def test_channels_may_come_last():
    assert GraphInput((1, None, None, 3), FLOAT).fill((64, 96), 1) == (1, 64, 96, 3)
    assert GraphInput((1, 3, None, 3), FLOAT).sides == (2, 3)


def test_noise_fills_the_type():
    for dtype, largest in (('uint8', 255), ('int8', 127)):
        pixels = noise((1, 3, 64, 64), dtype)
        assert pixels.dtype == dtype and pixels.min() == 0 and pixels.max() == largest
    pixels = noise((1, 3, 64, 64), 'float16', 1)
    assert pixels.dtype == np.float16 and 0 <= pixels.min() < 0.1 and 0.9 < pixels.max() <= 1
