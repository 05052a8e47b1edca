import pytest

import mbv3zoo
from mbv3zoo.runtimes import table
from mbv3zoo.runtimes.session import open_session


def test_errors_of_opening(tmp_path, monkeypatch):
    with pytest.raises(ValueError, match='gone.onnx: there is no such file'):
        mbv3zoo.load(tmp_path / 'gone.onnx')
    with pytest.raises(ValueError, match='not a file that a runtime opens'):
        open_session(tmp_path / 'm.txt')
    (tmp_path / 'm.onnx').write_bytes(b'nothing')
    with pytest.raises(ValueError, match="runtime 'ncnn' does not open it; expected onnxruntime or openvino"):
        mbv3zoo.load(tmp_path / 'm.onnx', runtime='ncnn')
    with pytest.raises(ValueError, match='threads is 0'):
        mbv3zoo.load(tmp_path / 'm.onnx', threads=0)
    monkeypatch.setattr(table, 'find_spec', lambda package: None)
    with pytest.raises(ImportError, match='onnxruntime is not installed; install it with: pip install onnxruntime'):
        mbv3zoo.load(tmp_path / 'm.onnx')


def test_a_damaged_file(tmp_path):
    pytest.importorskip('onnxruntime')
    (tmp_path / 'm.onnx').write_bytes(b'nothing')
    with pytest.raises(ValueError, match='onnxruntime cannot open it'):
        mbv3zoo.load(tmp_path / 'm.onnx')
