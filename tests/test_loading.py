import json

import numpy as np
import pytest

import mbv3zoo
from mbv3zoo.runtimes import table
from mbv3zoo.runtimes.export_info import ExportInfo
from mbv3zoo.runtimes.exported_detector import ExportedDetector
from mbv3zoo.runtimes.session import open_session
from mbv3zoo.runtimes.table import runtimes_for

INFO = ExportInfo(
    library_version='0', backbone='b', class_names=('a', 'b'), in_chans=3, image_size=32, strides=(8, 16, 32),
    anchors=(((8, 8),), ((16, 16),), ((32, 32),)),
)  # fmt: skip


class Fake:
    """Gives maps in which the first pixel of each picture can be found again."""

    runtime, metadata = 'fake', None

    def __init__(self):
        self.shapes = []

    def __call__(self, images):
        self.shapes.append(images.shape)
        assert images.flags.c_contiguous
        return [
            np.full((len(images), 7, 32 // s, 32 // s), images[:, 0, 0, 0][:, None, None, None]) for s in (8, 16, 32)
        ]


@pytest.mark.parametrize(('batch_size', 'shapes'), [(1, [1] * 5), (2, [2, 2, 2]), (5, [5]), (8, [8])])
def test_batches_are_filled_up(batch_size, shapes):
    session = Fake()
    images = np.arange(5, dtype=np.uint8)[:, None, None, None] * np.ones((5, 3, 32, 32), np.uint8)
    maps = ExportedDetector(session, INFO.model_copy(update={'batch_size': batch_size})).run(images)
    assert [shape[0] for shape in session.shapes] == shapes
    assert [m.shape[0] for m in maps] == [5, 5, 5] and maps[0][:, 0, 0, 0].tolist() == [0, 1, 2, 3, 4]


def test_a_graph_of_another_size():
    with pytest.raises(ValueError, match=r'image_size is \(64, 64\), but the exported graph takes \(32, 32\) only'):
        ExportedDetector(Fake(), INFO).predict(np.zeros((9, 9, 3), np.uint8), image_size=64)


def test_files_are_told_by_their_end(tmp_path):
    assert runtimes_for(tmp_path / 'm.onnx') == ['onnxruntime', 'openvino']
    assert runtimes_for(tmp_path / 'm.xml') == ['openvino'] and runtimes_for(tmp_path / 'm') == []


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
    with pytest.raises(ValueError, match='takes no revision'):
        mbv3zoo.load(tmp_path / 'm.onnx', revision='main')
    monkeypatch.setattr(table, 'find_spec', lambda package: None)
    with pytest.raises(ImportError, match='onnxruntime is not installed; install it with: pip install onnxruntime'):
        mbv3zoo.load(tmp_path / 'm.onnx')


def test_a_damaged_file(tmp_path):
    pytest.importorskip('onnxruntime')
    (tmp_path / 'm.onnx').write_bytes(b'nothing')
    with pytest.raises(ValueError, match='onnxruntime cannot open it'):
        mbv3zoo.load(tmp_path / 'm.onnx')


@pytest.mark.parametrize(
    ('certificate', 'said'),
    [
        (None, 'does not say which classes'),
        ('{', 'expected the certificate'),
        ('{}', 'expected the certificate'),
        (json.dumps({'info': {'version': 2}}), 'version'),
    ],
)
def test_a_file_that_does_not_say_what_it_is(tmp_path, monkeypatch, certificate, said):
    monkeypatch.setattr('mbv3zoo.runtimes.exported_detector.open_session', lambda *args, **kwargs: Fake())
    if certificate is not None:
        (tmp_path / 'm.onnx.json').write_text(certificate)
    with pytest.raises(ValueError, match=said):
        mbv3zoo.load(tmp_path / 'm.onnx')


def test_other_sources_give_a_detector():
    detector = mbv3zoo.load('mbv3_yolo_small.synth')
    assert isinstance(detector, mbv3zoo.Detector) and not detector.training
    assert isinstance(mbv3zoo.load('mbv3_yolo_small.synth', runtime='eager'), ExportedDetector)
    with pytest.raises(ValueError, match='device needs a runtime'):
        mbv3zoo.load('mbv3_yolo_small.synth', device='cpu')
    with pytest.raises(ValueError, match="no weights called 'nothing'"):
        mbv3zoo.load('nothing')
