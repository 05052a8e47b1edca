import math
from copy import deepcopy

import pytest
import torch

import mbv3zoo
from mbv3zoo.export import request
from mbv3zoo.runtimes import table
from mbv3zoo.utils import packages

NAN = math.nan


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
        ('m.ncnn.param', {'precision': 'int8'}, "cannot be 'int8'; onnx, openvino can"),
        ('m.onnx', {'precision': 'fp16'}, "cannot be 'fp16'; no format can"),
        ('m.onnx', {'precision': 'int8'}, 'int8 needs calibration'),
        ('m.onnx', {'image_size': 100}, 'multiples of 32'),
        ('m.onnx', {'data': 'nowhere'}, 'nowhere'),
        ('m.onnx', {'precision': 'int8', 'calibration': 'nowhere'}, '^nowhere: expected a data set or a folder'),
        ('m.onnx', {'precision': None}, 'onnx files cannot be None'),
        *(
            ('m.onnx', {'nms': True, 'score_thresh': x}, '^score_thresh is .*expected')
            for x in (25, 1, NAN, '0.3', None)
        ),
        *(('m.onnx', {'nms': True, 'iou_thresh': x}, '^iou_thresh is .*expected') for x in (3, -1, NAN, '', True)),
        *(
            ('m.onnx', {'nms': True, 'max_detections': x}, '^max_detections is .*expected')
            for x in (0, -1, 2.5, '', None)
        ),
        # Out of range, whatever they are for.
        ('m.onnx', {'score_thresh': 25}, '^score_thresh is 25; expected a number in 0..1'),
        *(('m.onnx', {'image_size': x}, '^image_size is .*expected a side') for x in (0, -64, '', [], (), False, '64')),
        *(('m.onnx', {'batch_size': x}, '^batch_size is .*expected') for x in (0, -1, None, '', True, 2.0)),
        *(
            ('m.onnx', {'tolerance': x}, '^tolerance is .*expected a number above 0')
            for x in (0, -1, NAN, '', 1e999, True)
        ),
        *(('m.onnx', {'pictures': x}, '^pictures is .*expected a list of images') for x in ([], 'a.jpg', 0)),
        ('m.onnx', {'pictures': ['no.jpg']}, "image file 'no.jpg': there is no such file"),
        *(('m.onnx', {name: 'yes'}, f"^{name} is 'yes'; expected True or False") for name in ('dynamic', 'overwrite')),
        *(
            ('m.onnx', {'nms': x}, f"^nms is {x!r}; expected True or 'inside', 'none', or False")
            for x in ('yes', 1, '', None)
        ),
        *(('m.onnx', {name: ''}, f"^{name} is ''; leave it out") for name in ('data', 'calibration', 'split')),
    ],
)
def test_what_cannot_be(detector, tmp_path, monkeypatch, file, options, expected):
    monkeypatch.setattr(request, 'check_installed', lambda *sources: None)
    monkeypatch.setattr(table.Format, 'check_installed', lambda *asked: None)
    with pytest.raises(ValueError, match=expected):
        detector.export(tmp_path / file, **options)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ('value', 'name'), [(NAN, 'head.convs.0.weight'), (math.inf, 'backbone.model.bn1.running_var')]
)
def test_weights_that_are_not_finite_are_told_before_anything_is_made(detector, tmp_path, value, name):
    spoilt = deepcopy(detector)
    spoilt.state_dict()[name].view(-1)[0] = value
    with pytest.raises(ValueError, match=f'^the detector cannot be exported: NaN or infinity in 1 .*{name} '):
        spoilt.export(tmp_path / 'new' / 'm.torchscript', image_size=64)
    with torch.no_grad():
        spoilt = deepcopy(detector)
        spoilt.head.convs[0].weight.fill_(3e38)
    with pytest.raises(ValueError, match='^the detector itself gives logits that are NaN, infinite'):
        spoilt.export(tmp_path / 'm.torchscript', image_size=64)
    assert list(tmp_path.iterdir()) == []


def test_missing_packages_are_named_before_any_work(detector, tmp_path, monkeypatch):
    monkeypatch.setattr(packages, 'is_installed', lambda package: False)
    with pytest.raises(
        ImportError, match=r'writing onnx needs onnx, onnxscript, onnxruntime; .*pip install "mbv3zoo\[export\]"'
    ):
        detector.export(tmp_path / 'm.onnx')
    with pytest.raises(ImportError, match=r'ncnn, pnnx; .*mbv3zoo\[phones\]'):
        detector.export(tmp_path / 'm.ncnn.param')
