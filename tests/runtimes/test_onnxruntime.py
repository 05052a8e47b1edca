from types import SimpleNamespace

import numpy as np
import pytest

from mbv3zoo.runtimes.graph_input import GraphInput

pytest.importorskip('onnxruntime')

from mbv3zoo.runtimes.onnxruntime import graph_input  # noqa: E402


def port(shape, type='tensor(float)'):
    return SimpleNamespace(shape=shape, type=type)


def test_reads_what_another_programs_graph_takes():
    assert graph_input(port([1, 3, 64, 96])) == GraphInput((1, 3, 64, 96), np.dtype(np.float32))
    assert graph_input(port(['batch', 3, -1, None], 'tensor(uint8)')) == GraphInput(
        (None, 3, None, None), np.dtype('uint8')
    )
    assert graph_input(port([1, 3, 8, 8], 'tensor(float16)')).dtype == np.float16
    assert graph_input(port([1], 'tensor(string)')).dtype == object
