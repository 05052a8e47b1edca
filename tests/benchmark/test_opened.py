import json
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from mbv3zoo.benchmark import opened
from mbv3zoo.benchmark.opened import count, open_model, write_model
from mbv3zoo.runtimes.export_info import ExportInfo
from mbv3zoo.runtimes.table import runtimes_for

INFO = ExportInfo(
    library_version='0', backbone='a', class_names=('b',), in_chans=3, image_size=(32, 96), dynamic=True,
    strides=(8,), anchors=(((1, 2),),),
)  # fmt: skip


class Session:
    """Stands for an exported file that is open; keeps what it is called with."""

    runtime, metadata, inputs = 'torchscript', None, None

    def __init__(self):
        self.given = []

    def __call__(self, images):
        self.given.append(images)
        return [images]


@pytest.fixture
def session(monkeypatch):
    session = Session()
    monkeypatch.setattr(opened, 'open_session', lambda path, runtime, **options: session)
    return session


def test_files_of_other_programs(session, tmp_path):
    model = open_model(str(tmp_path / 'a.torchscript'), 'torchscript', (64, 96), 2)
    model.call()
    (images,) = session.given
    assert model.size == (64, 96) and images.shape == (2, 3, 64, 96) and images.dtype == np.float32
    assert images.max() <= 1
    assert open_model(str(tmp_path / 'a.torchscript'), 'torchscript').size == (640, 640)
    assert count('a.torchscript', (64, 96)) == (None, None)


@pytest.mark.parametrize('inside', [True, False])
def test_files_of_ours_say_what_they_take(session, tmp_path, inside):
    if inside:
        session.metadata = INFO.model_dump_json()
    else:
        (tmp_path / 'a.torchscript.json').write_text(json.dumps({'info': INFO.model_dump(mode='json')}))
    model = open_model(str(tmp_path / 'a.torchscript'), 'torchscript', batch=2)
    model.call()
    assert model.size == (32, 96) and session.given[0].shape == (2, 3, 32, 96) and session.given[0].dtype == np.uint8


def test_detectors_run_at_the_size_and_batch_asked_for():
    model = open_model('mbv3_yolo_small.synth', 'eager', (64, 96), 2, threads=1)
    assert model.size == (64, 96)
    assert [output.shape[0] for output in model.call()] == [2, 2, 2]
    assert [output.shape[2:] for output in model.call()] == [(8, 12), (4, 6), (2, 3)]
    parameters, gflops = count('mbv3_yolo_small.synth', (64, 96))
    assert 1e6 < parameters < 4e6
    assert gflops == pytest.approx(count('mbv3_yolo_small.synth', (128, 96))[1] / 2, rel=0.05)


def test_a_process_that_opens_a_file_stays_small():
    code = """
import sys
from types import SimpleNamespace
import mbv3zoo.benchmark.worker, mbv3zoo.benchmark.run
assert not {'torch', 'timm', 'matplotlib'} & {*sys.modules}, sorted({'torch', 'timm', 'matplotlib'} & {*sys.modules})
"""
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_onnx_of_another_program(tmp_path):
    onnx = pytest.importorskip('onnx')
    pytest.importorskip('onnxruntime')
    from onnx import helper

    for name, shape in (('fixed.onnx', [1, 3, 64, 96]), ('free.onnx', ['batch', 3, 'height', 'width'])):
        x, y = (helper.make_tensor_value_info(end, onnx.TensorProto.FLOAT, shape) for end in 'xy')
        graph = helper.make_graph([helper.make_node('Relu', ['x'], ['y'])], 'g', [x], [y])
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid('', 17)], ir_version=8)
        onnx.save(model, tmp_path / name)
    model = open_model(str(tmp_path / 'fixed.onnx'), 'onnxruntime')
    assert model.size == (64, 96) and model.call()[0].shape == (1, 3, 64, 96)
    model = open_model(str(tmp_path / 'free.onnx'), 'onnxruntime', (32, 64), 4)
    assert model.size == (32, 64) and model.call()[0].shape == (4, 3, 32, 64)
    with pytest.raises(ValueError, match='pictures of 64 x 96 only, given 32 x 32'):
        open_model(str(tmp_path / 'fixed.onnx'), 'onnxruntime', (32, 32))


def test_a_detectors_file_is_what_its_runtime_is_given(tmp_path, monkeypatch):
    written = []
    writer = SimpleNamespace(write=lambda graph, path: written.append((graph.info, path)))
    for runtime, name, dtype in (('onnxruntime', 'onnx', 'uint8'), ('openvino', 'openvino', 'float32')):
        monkeypatch.setitem(sys.modules, f'mbv3zoo.export.{name}', writer)
        path = write_model('mbv3_yolo_small.synth', runtime, (64, 96), 2, tmp_path)
        info, given = written.pop()
        assert path == given and path.parent == tmp_path and runtime in runtimes_for(path)
        assert (info.image_size, info.batch_size, info.dynamic, info.input_dtype) == ((64, 96), 2, False, dtype)
