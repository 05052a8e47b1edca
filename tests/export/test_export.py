"""Detectors go out in every format and come back through its own runtime, with the same detections."""

import numpy as np
import pytest
import torch
from exported_files import MODEL, RUNNABLE, SCENE, SIZE, needs

import mbv3zoo
from mbv3zoo.export.certificate import read_certificate
from mbv3zoo.runtimes.parts import parts
from mbv3zoo.runtimes.table import FORMATS


@pytest.fixture(scope='module')
def detector():
    return mbv3zoo.Detector.from_pretrained(MODEL)


def same(found, expected, atol=0.02, scores=1e-3):
    assert found.names == expected.names and found.image_size == expected.image_size
    assert np.allclose(np.asarray(found.boxes), np.asarray(expected.boxes), atol=atol)
    assert np.allclose(np.asarray(found.scores), np.asarray(expected.scores), atol=scores)


@pytest.mark.parametrize('name', RUNNABLE)
def test_round_trip(name, exported, detector):
    opened = mbv3zoo.load(exported(name))
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
def test_the_file_says_what_it_is(name, exported, detector):
    info = mbv3zoo.load(exported(name)).info
    assert info.class_names == detector.config.class_names and info.anchors == detector.config.anchors
    assert info.image_size == SIZE and info.strides == (8, 16, 32) and info.outputs == 'maps'
    assert (info.letterbox.resize, info.letterbox.pad_value) == ('bilinear-antialias', 114)
    assert info.licenses == detector.config.licenses


def check_half(name, exported, detector, folder, **options):
    full = exported(name)
    path = detector.export(folder / full.name, image_size=SIZE, precision='float16', **options)
    weights = [parts(file)[FORMATS[name].weights or FORMATS[name].suffix] for file in (path, full)]
    small, large = (file.stat().st_size for file in weights)
    assert small < 0.6 * large
    opened = mbv3zoo.load(path)
    assert opened.info.precision == read_certificate(path).info.precision == 'float16'
    expected = detector.predict(SCENE, image_size=SIZE, score_thresh=0.05)
    same(opened.predict(SCENE, score_thresh=0.05), expected, 0.5, 5e-3)
    return path, expected


def test_half_precision_in_onnx(exported, detector, tmp_path):
    import onnx
    from onnx import TensorProto

    path, expected = check_half('onnx', exported, detector, tmp_path)
    graph = onnx.load(path).graph
    # Consumers give bytes and get float32, as from a file in float32.
    assert graph.input[0].type.tensor_type.elem_type == TensorProto.UINT8
    assert {output.type.tensor_type.elem_type for output in graph.output} == {TensorProto.FLOAT}
    large = [tensor for tensor in graph.initializer if np.prod(tensor.dims) > 1000]
    assert large and {tensor.data_type for tensor in large} == {TensorProto.FLOAT16}
    needs('openvino')
    same(mbv3zoo.load(path, runtime='openvino').predict(SCENE, score_thresh=0.05), expected, 0.5, 5e-3)


@pytest.mark.slow
@pytest.mark.parametrize('name', ['ncnn', 'openvino', 'torchscript', 'torch_export'])
def test_half_precision(name, exported, detector, tmp_path):
    check_half(name, exported, detector, tmp_path)


def test_weights_too_large_for_half_precision_are_named(tmp_path):
    detector = mbv3zoo.create_detector('mbv3_yolo_small_050', num_classes=2)
    with torch.no_grad():
        detector.head.convs[0].weight.view(-1)[0] = 7e4
    with pytest.raises(
        ValueError, match='^head.convs.0.weight has weights up to 7e.04, .* float16 is 65504; export in'
    ):
        detector.export(tmp_path / 'm.torchscript', image_size=64, precision='float16')
    assert list(tmp_path.iterdir()) == []


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
    check_dynamic(detector, tmp_path / f'model{FORMATS[name].suffix}')


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
    check_nms(detector, tmp_path / f'model{FORMATS[name].suffix}')


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
            graph.head.convs[0].weight.mul_(1.01)
        real(graph, path)

    from mbv3zoo.export import torchscript

    real = torchscript.write
    monkeypatch.setattr(torchscript, 'write', spoilt)
    with pytest.raises(ValueError, match='differs from PyTorch by more than is allowed: .*logits differ'):
        detector.export(tmp_path / 'm.torchscript', image_size=64)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ValueError, match='boxes differ'):
        detector.export(tmp_path / 'm.torchscript', image_size=64, tolerance=0.5)


def test_nothing_is_written_over(detector, tmp_path):
    path = tmp_path / 'm.torchscript'
    path.write_text('mine')
    with pytest.raises(ValueError, match='exists already'):
        detector.export(path, image_size=64)
    assert path.read_text() == 'mine'
    detector.export(path, image_size=64, overwrite=True)
    assert mbv3zoo.load(path).info.image_size == (64, 64)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ['m.torchscript', 'm.torchscript.json']
