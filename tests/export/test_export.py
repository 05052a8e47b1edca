"""Detectors go out in every format and come back through its own runtime, with the same detections."""

import json
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch

import mbv3zoo
from mbv3zoo.export.certificate import certificate_path, read_certificate
from mbv3zoo.export.certify import drawn_images
from mbv3zoo.export.graph import DeployedNetwork
from mbv3zoo.runtimes import table
from mbv3zoo.runtimes.export_info import ExportInfo
from mbv3zoo.runtimes.table import FORMATS

SCENE = Path(__file__).parents[2] / 'docs' / 'scene.jpg'
FILES = {name: f'model{entry.suffix}' for name, entry in FORMATS.items()}
SIZE = (96, 160)
# Core ML's own runtime is on macOS only.
RUNNABLE = [name for name in FORMATS if name != 'coreml']


def needs(name):
    missing = [package for package in FORMATS[name].packages if find_spec(package) is None]
    if missing:
        pytest.skip(f'{name} needs {", ".join(missing)}')


@pytest.fixture(scope='module')
def detector():
    return mbv3zoo.Detector.from_pretrained('mbv3_yolo_small.synth')


@pytest.fixture(scope='module')
def files(detector, tmp_path_factory):
    """Writes a format once for all tests that ask for it."""
    made = {}

    def get(name):
        needs(name)
        if name not in made:
            made[name] = detector.export(tmp_path_factory.mktemp(name) / FILES[name], image_size=SIZE)
        return made[name]

    return get


def same(found, expected, atol=0.02):
    assert found.names == expected.names and found.image_size == expected.image_size
    assert np.allclose(np.asarray(found.boxes), np.asarray(expected.boxes), atol=atol)
    assert np.allclose(np.asarray(found.scores), np.asarray(expected.scores), atol=1e-3)


@pytest.mark.parametrize('name', RUNNABLE)
def test_round_trip(name, files, detector):
    opened = mbv3zoo.load(files(name))
    # A low threshold, as there are few objects that can be seen at this size.
    options = {'score_thresh': 0.05}
    expected = detector.predict(SCENE, image_size=SIZE, **options)
    assert len(expected) >= 4
    found = opened.predict(SCENE, **options)
    same(found, expected)
    assert isinstance(found.boxes, np.ndarray) and found.class_names == detector.config.class_names
    # More pictures than the graph takes at a time, of other shapes.
    many = [np.zeros((40, 90, 3), np.uint8), SCENE, np.full((90, 40, 3), 200, np.uint8)]
    for found, expected in zip(
        opened.predict(many, **options), detector.predict(many, image_size=SIZE, **options), strict=True
    ):
        same(found, expected)


@pytest.mark.parametrize('name', RUNNABLE)
def test_the_file_says_what_it_is(name, files, detector):
    info = mbv3zoo.load(files(name)).info
    assert info.class_names == detector.config.class_names and info.anchors == detector.config.anchors
    assert info.image_size == SIZE and info.strides == (8, 16, 32) and info.outputs == 'maps'
    assert (info.letterbox.resize, info.letterbox.pad_value) == ('bilinear-antialias', 114)
    assert info.licenses == detector.config.licenses


@pytest.mark.parametrize('name', RUNNABLE)
def test_the_certificate(name, files):
    certificate = read_certificate(files(name))
    assert certificate.format == name and certificate.compared and certificate.failures() == []
    assert [parity.size for parity in certificate.pictures] == [(480, 480), (300, 480), (480, 340)]
    for parity in certificate.pictures:
        assert 0 < parity.logits_max < 1e-2 and parity.logits_relative < 1e-4 and parity.letterbox <= 1
    assert sum(parity.kept for parity in certificate.pictures) > 3 and certificate.versions['torch']
    assert json.loads(certificate_path(files(name)).read_text())['info']['image_size'] == list(SIZE)


def test_core_ml_is_written_and_says_that_it_was_not_compared(detector, tmp_path):
    needs('coreml')
    import coremltools

    path = detector.export(tmp_path / 'model.mlpackage', image_size=64)
    spec = coremltools.models.MLModel(str(path), skip_model_load=True).get_spec()
    assert [port.name for port in spec.description.input] == ['images']
    assert [port.name for port in spec.description.output] == ['map8', 'map16', 'map32']
    assert 'crescent' in spec.description.metadata.userDefined['mbv3zoo']
    certificate = read_certificate(path)
    if not certificate.compared:
        assert 'not compared' in certificate.summary()
        with pytest.raises(NotImplementedError, match='macOS'):
            mbv3zoo.load(path)


def check_dynamic(detector, path):
    detector.export(path, image_size=64, dynamic=True)
    opened = mbv3zoo.load(path)
    for size, count in (((64, 64), 1), ((96, 160), 3), ((160, 96), 2)):
        sources = [SCENE] * count
        expected = detector.predict(sources, image_size=size, score_thresh=0.05)
        for found, own in zip(opened.predict(sources, image_size=size, score_thresh=0.05), expected, strict=True):
            same(found, own)
    with pytest.raises(ValueError, match='multiples of 32'):
        opened.predict(SCENE, image_size=100)


def test_dynamic_sizes_and_batches(detector, tmp_path):
    needs('onnx')
    check_dynamic(detector, tmp_path / 'model.onnx')


@pytest.mark.slow
@pytest.mark.parametrize('name', ['openvino', 'torch_export'])
def test_dynamic_sizes_and_batches_elsewhere(detector, tmp_path, name):
    needs(name)
    check_dynamic(detector, tmp_path / FILES[name])


def check_nms(detector, path):
    # Rather low: so that there is something to suppress, also between pictures of a batch.
    detector.export(path, image_size=96, nms=True, score_thresh=0.05, iou_thresh=0.3, max_detections=3, batch_size=2)
    opened = mbv3zoo.load(path)
    options = {'score_thresh': 0.05, 'iou_thresh': 0.3, 'max_detections': 3}
    sources = [SCENE, np.zeros((40, 90, 3), np.uint8), SCENE]
    for found, expected in zip(
        opened.predict(sources), detector.predict(sources, image_size=96, **options), strict=True
    ):
        same(found, expected)
    assert len(opened.predict(SCENE)) == 3 and len(opened.predict(SCENE, max_detections=1)) == 1
    for thresholds in ({'score_thresh': 0.01}, {'iou_thresh': 0.6}, {'max_detections': 10}):
        with pytest.raises(ValueError, match='suppresses with score_thresh 0.05'):
            opened.predict(SCENE, **thresholds)


def test_suppression_inside_the_graph(detector, tmp_path):
    needs('onnx')
    check_nms(detector, tmp_path / 'model.onnx')


@pytest.mark.slow
@pytest.mark.parametrize('name', ['openvino', 'torch_export', 'torchscript'])
def test_suppression_inside_other_graphs(detector, tmp_path, name):
    needs(name)
    check_nms(detector, tmp_path / FILES[name])


@pytest.mark.parametrize(
    ('backbone', 'settings'),
    [('mbv3_yolo_small_light', {}), ('mbv3_yolo_small_050', {'in_chans': 1}), ('vit_tiny_patch16_224', {})],
)
def test_the_graph_is_the_network(backbone, settings):
    torch.manual_seed(0)
    detector = mbv3zoo.create_detector(backbone, num_classes=3, image_size=(64, 96), **settings).eval()
    graph = DeployedNetwork(detector, ExportInfo.of(detector.config, detector.strides, '0'))
    pixels = torch.randint(0, 256, (2, detector.config.in_chans, 64, 96), dtype=torch.uint8)
    with torch.no_grad():
        expected, found = detector(pixels / 255), graph(pixels)
    for own, maps in zip(expected, found, strict=True):
        maps = maps.view(2, 3, 8, *maps.shape[2:]).permute(0, 1, 3, 4, 2)
        assert torch.allclose(own, maps, atol=1e-4)
    assert not detector.fused


def test_a_grey_light_detector_goes_through_onnx(tmp_path):
    needs('onnx')
    detector = mbv3zoo.create_detector('mbv3_yolo_small_light', num_classes=3, image_size=64, in_chans=1).eval()
    path = detector.export(tmp_path / 'a.onnx')
    assert mbv3zoo.load(path).info.in_chans == 1 and len(mbv3zoo.load(path).predict(SCENE, score_thresh=0)) > 0


def test_ap_before_and_after(detector, tmp_path):
    needs('onnx')
    from mbv3zoo.synth import SyntheticConfig, synthesize

    synthesize(tmp_path / 'set', SyntheticConfig(train=1, val=6, image_size=160, workers=1))
    path = detector.export(tmp_path / 'm.onnx', image_size=160, data=str(tmp_path / 'set'))
    ap = read_certificate(path).ap
    assert ap.images == 6 and ap.ap > 0.1 and ap.ap_exported == pytest.approx(ap.ap, abs=1e-3)
    assert f'AP {ap.ap:.4f} -> {ap.ap_exported:.4f}' in read_certificate(path).summary()


def test_a_spoiled_file_is_not_left(detector, tmp_path, monkeypatch):
    def spoilt(graph, path):
        with torch.no_grad():
            graph.convs[0].weight.mul_(1.01)
        real(graph, path)

    from mbv3zoo.export import torchscript

    real = torchscript.write
    monkeypatch.setattr(torchscript, 'write', spoilt)
    with pytest.raises(ValueError, match='differs from PyTorch by more than is allowed: .*logits differ'):
        detector.export(tmp_path / 'm.torchscript', image_size=64)
    assert list(tmp_path.iterdir()) == []
    detector.export(tmp_path / 'm.torchscript', image_size=64, tolerance=0.5, pictures=[])


def test_nothing_is_written_over(detector, tmp_path):
    path = tmp_path / 'm.torchscript'
    path.write_text('mine')
    with pytest.raises(ValueError, match='exists already'):
        detector.export(path, image_size=64)
    assert path.read_text() == 'mine'
    detector.export(path, image_size=64, overwrite=True)
    assert mbv3zoo.load(path).info.image_size == (64, 64)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ['m.torchscript', 'm.torchscript.json']


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


def test_detectors_for_other_channels_are_compared_too():
    images = drawn_images(5)
    assert [image.shape for image in images] == [(480, 480, 5), (300, 480, 5), (480, 340, 5)]
