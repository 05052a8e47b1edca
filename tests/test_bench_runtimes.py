"""The tool that times models of several runtimes in one process lets them take turns."""

import bench_runtimes
import numpy as np
import pytest


def test_models_take_turns():
    called = []
    times = bench_runtimes.measure([lambda: called.append('a'), lambda: called.append('b')], rounds=3, seconds=0)
    assert [len(own) for own in times] == [3, 3] and all(ms > 0 for own in times for ms in own)
    # Three calls a block; the second round goes back.
    assert ''.join(called) == 'aaabbb' + 'bbbaaa' + 'aaabbb'


def test_an_openvino_file_is_opened(tmp_path):
    openvino = pytest.importorskip('openvino')
    from openvino import opset13

    image = opset13.parameter([1, 3, 8, 8], np.float32)
    openvino.save_model(openvino.Model([opset13.relu(image)], [image]), tmp_path / 'model.xml')
    call = bench_runtimes.open_model(f'{tmp_path / "model.xml"}:ov', 8)
    assert call()[0].shape == (1, 3, 8, 8)
