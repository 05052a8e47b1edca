import json
import time
from types import SimpleNamespace

import numpy as np
import pytest
import torch

import mbv3zoo
from mbv3zoo.cli.main import app
from mbv3zoo.export.live import fastest, open_live
from mbv3zoo.runtimes.export_info import ExportInfo
from mbv3zoo.runtimes.exported_detector import ExportedDetector
from mbv3zoo.utils import packages

SCENE = 'docs/scene.jpg'


@pytest.fixture(scope='module')
def detector():
    return mbv3zoo.Detector.from_pretrained('mbv3_yolo_small.synth')


@pytest.fixture(scope='module')
def scene():
    from pathlib import Path

    return Path(__file__).parents[2] / SCENE


@pytest.mark.parametrize('runtime', ['eager', 'onnxruntime', 'openvino'])
def test_every_runtime_finds_the_same(detector, scene, runtime):
    if runtime != 'eager':
        pytest.importorskip(runtime)
    expected, found = detector.predict(scene), detector.predict(scene, runtime=runtime)
    assert len(expected) >= 3 and found.names == expected.names and found.path == expected.path
    assert isinstance(found.boxes, torch.Tensor)
    assert torch.allclose(found.boxes, expected.boxes, atol=0.05)
    assert torch.allclose(found.scores, expected.scores, atol=1e-3)
    # Many pictures of different shapes, and another size.
    many = [np.zeros((50, 90, 3), np.uint8), str(scene), np.zeros((90, 50, 3), np.uint8)]
    found = detector.predict(many, runtime=runtime, image_size=(192, 256), batch_size=2)
    expected = detector.predict(many, image_size=(192, 256))
    assert [part.names for part in found] == [part.names for part in expected]


@pytest.mark.slow
def test_compile(detector, scene):
    found = detector.predict(scene, runtime='compile', image_size=64, score_thresh=0.01)
    expected = detector.predict(scene, image_size=64, score_thresh=0.01)
    assert torch.allclose(found.boxes, expected.boxes, atol=0.05) and len(found)


def test_the_detector_stays_as_it_is(detector, scene):
    before = {name: tensor.clone() for name, tensor in detector.state_dict().items()}
    open_live(detector, 'eager')
    assert not detector.fused
    assert all(torch.equal(tensor, before[name]) for name, tensor in detector.state_dict().items())


def test_auto_takes_the_fastest_and_says_so(caplog):
    caplog.set_level('INFO', 'mbv3zoo')

    def one(name, seconds):
        session = SimpleNamespace(runtime=name, metadata=None)
        info = ExportInfo(
            library_version='0', backbone='b', class_names=('a',), in_chans=3, image_size=32, strides=(32,),
            anchors=(((8, 8),),),
        )  # fmt: skip
        exported = ExportedDetector(session, info)
        exported.run = lambda images: time.sleep(seconds)
        return exported

    detectors = [one('slow', 0.02), one('fast', 0.001), one('middle', 0.01)]
    assert fastest(detectors).runtime == 'fast'
    (line,) = caplog.messages
    assert line.startswith("runtime 'auto' takes fast, of slow 2") and ', fast 1.' in line
    assert fastest(detectors[:1]).runtime == 'slow'


def test_auto_on_a_detector(scene):
    detector = mbv3zoo.create_detector('mbv3_yolo_small_050', num_classes=2, image_size=64).eval()
    assert open_live(detector, 'auto').runtime in ('eager', 'onnxruntime', 'openvino')


def test_errors(detector, scene):
    with pytest.raises(ValueError, match="unknown runtime 'tensorrt'; expected one of eager, compile"):
        detector.predict(scene, runtime='tensorrt')
    with pytest.raises(ValueError, match='threads needs a runtime'):
        detector.predict(scene, threads=2)
    with pytest.raises(ValueError, match="device 'cuda:77': torch cannot use it"):
        detector.predict(scene, runtime='eager', device='cuda:77')


def test_a_runtime_that_is_not_installed(detector, monkeypatch):
    monkeypatch.setattr(packages, 'is_installed', lambda package: package != 'openvino')
    with pytest.raises(ImportError, match=r'needs openvino; install with: pip install "mbv3zoo\[export\]"'):
        open_live(detector, 'openvino')


def test_a_graph_is_made_for_the_size_that_is_asked_for(scene, tmp_path):
    name = 'mbv3_yolo_small.synth'
    opened = mbv3zoo.load(name, runtime='eager', image_size=96)
    assert opened.info.image_size == (96, 96)
    assert mbv3zoo.load(name, runtime='eager', image_size=(64, 96)).info.image_size == (64, 96)
    with pytest.raises(ValueError, match=r'multiples of 32, given \(100, 100\)'):
        mbv3zoo.load(name, runtime='eager', image_size=100)
    with pytest.raises(ValueError, match='image_size is for a detector in a named runtime; give it to predict'):
        mbv3zoo.load(name, image_size=96)
    with pytest.raises(ValueError, match='image_size is for a detector in a named runtime'):
        mbv3zoo.load('model.onnx', runtime='onnxruntime', image_size=96)
    options = ['--image-size', '96', '--runtime', 'eager', '--no-draw', '--out', str(tmp_path / 'out')]
    app(['predict', name, str(scene), *options], standalone_mode=False)
    found = json.loads((tmp_path / 'out' / 'predictions.json').read_text())
    assert found


@pytest.mark.parametrize(
    ('options', 'expected'),
    [
        *(({'device': device}, '^device is .*expected its name') for device in ('', 0, False, [])),
        *(({'threads': threads}, '^threads is .*expected') for threads in (0, '', True, -1)),
        *(({'runtime': runtime}, '^unknown runtime') for runtime in ('', 0, [], 'tensorrt')),
    ],
)
def test_a_runtime_or_device_that_cannot_be_is_told_before_anything_is_looked_for(options, expected, exported):
    detector = mbv3zoo.create_detector('mbv3_yolo_small_050', num_classes=2, image_size=64)
    options = {'runtime': 'eager'} | options
    with pytest.raises(ValueError, match=expected):
        detector.predict(np.zeros((64, 64, 3), np.uint8), **options)
    with pytest.raises(ValueError, match=expected):
        mbv3zoo.load('no-such/model', **options)
    if 'runtime' not in expected:
        with pytest.raises(ValueError, match=expected):
            mbv3zoo.load(exported('torchscript'), **options | {'runtime': None})
