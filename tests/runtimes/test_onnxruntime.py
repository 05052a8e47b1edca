from types import SimpleNamespace

import numpy as np
import pytest
from exported_files import MAPS, SIZE

from mbv3zoo.runtimes.export_info import ExportInfo
from mbv3zoo.runtimes.graph_input import GraphInput

pytest.importorskip('onnxruntime')

from mbv3zoo.runtimes.onnxruntime import graph_input, open  # noqa: E402


def port(shape, type='tensor(float)'):
    return SimpleNamespace(shape=shape, type=type)


def test_reads_what_another_programs_graph_takes():
    assert graph_input(port([1, 3, 64, 96])) == GraphInput((1, 3, 64, 96), np.dtype(np.float32))
    assert graph_input(port(['batch', 3, -1, None], 'tensor(uint8)')) == GraphInput(
        (None, 3, None, None), np.dtype('uint8')
    )
    assert graph_input(port([1, 3, 8, 8], 'tensor(float16)')).dtype == np.float16
    assert graph_input(port([1], 'tensor(string)')).dtype == object


def test_a_file_runs_and_holds_its_record(exported):
    session = open(exported('onnx'), 1, 'cpu')
    assert session.inputs == [GraphInput((1, 3, *SIZE), np.dtype(np.uint8))]
    maps = session(np.zeros((1, 3, *SIZE), np.uint8))
    assert [(m.shape, m.dtype) for m in maps] == [(shape, np.float32) for shape in MAPS]
    assert session.runtime == 'onnxruntime' and ExportInfo.model_validate_json(session.metadata).image_size == SIZE


def test_a_provider_that_is_not_there(tmp_path):
    with pytest.raises(ValueError, match="device 'tpu': the installed ONNX Runtime has no tpu; it has .*CPUExecution"):
        open(tmp_path / 'm.onnx', None, 'tpu')
