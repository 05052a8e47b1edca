import pytest

import mbv3zoo
from mbv3zoo.runtimes import table


@pytest.fixture(scope='module')
def detector():
    return mbv3zoo.create_detector('mbv3_yolo_small_050', num_classes=2)


@pytest.mark.parametrize(
    ('file', 'options', 'expected'),
    [
        ('m.engine', {}, 'cannot tell the format from its name'),
        ('m.onnx', {'format': 'openvino'}, 'its name is of the format onnx'),
        ('m.torchscript', {'dynamic': True}, 'take one size and batch'),
        ('m.ncnn.param', {'nms': True}, 'cannot suppress inside'),
        ('m.ncnn.param', {'batch_size': 2}, 'one picture a call'),
        ('m.onnx', {'precision': 'float16'}, 'cannot be float16; openvino can'),
        ('m.onnx', {'precision': 'int8'}, 'int8 needs calibration'),
        ('m.onnx', {'image_size': 100}, 'multiples of 32'),
        ('m.onnx', {'data': 'nowhere'}, 'nowhere'),
    ],
)
def test_what_cannot_be(detector, tmp_path, monkeypatch, file, options, expected):
    monkeypatch.setattr(table, 'find_spec', lambda package: object())
    with pytest.raises(ValueError, match=expected):
        detector.export(tmp_path / file, **options)
    assert list(tmp_path.iterdir()) == []


def test_missing_packages_are_named_before_any_work(detector, tmp_path, monkeypatch):
    monkeypatch.setattr(table, 'find_spec', lambda package: None)
    with pytest.raises(ImportError, match=r'writing onnx needs onnx, onnxscript; .*pip install "mbv3zoo\[export\]"'):
        detector.export(tmp_path / 'm.onnx')
    with pytest.raises(ImportError, match=r'ncnn, pnnx; .*mbv3zoo\[phones\]'):
        detector.export(tmp_path / 'm.ncnn.param')
