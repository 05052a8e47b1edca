"""The tool that times models of several runtimes in one process opens files too."""

import bench_runtimes
import numpy as np
import pytest


def test_an_openvino_file_is_opened(tmp_path):
    openvino = pytest.importorskip('openvino')
    from openvino import opset13

    image = opset13.parameter([1, 3, 8, 8], np.float32)
    openvino.save_model(openvino.Model([opset13.relu(image)], [image]), tmp_path / 'model.xml')
    call = bench_runtimes.open_model(f'{tmp_path / "model.xml"}:ov', 8)
    assert call()[0].shape == (1, 3, 8, 8)
