import json

import numpy as np
import pytest
import torch
from exported_files import MODEL, RUNNABLE, SIZE, needs

import mbv3zoo
from mbv3zoo.export.certificate import certificate_path, read_certificate
from mbv3zoo.export.certify import drawn_images
from mbv3zoo.export.graph import keep_detections
from mbv3zoo.runtimes.table import FORMATS


@pytest.fixture(scope='module')
def trained():
    return mbv3zoo.Detector.from_pretrained(MODEL)


@pytest.mark.parametrize('name', RUNNABLE)
def test_the_certificate(name, exported):
    certificate = read_certificate(exported(name))
    assert certificate.format == name and certificate.compared and certificate.failures() == []
    assert [parity.size for parity in certificate.pictures] == [(480, 480), (300, 480), (480, 340)]
    for parity in certificate.pictures:
        assert 0 < parity.logits_max < 1e-2 and parity.logits_relative < 1e-4 and parity.letterbox <= 1
    assert sum(parity.kept for parity in certificate.pictures) > 3 and certificate.versions['torch']
    assert json.loads(certificate_path(exported(name)).read_text())['info']['image_size'] == list(SIZE)


@pytest.mark.parametrize(
    ('options', 'least'),
    [({}, 30), ({'nms': True}, 20), ({'nms': True, 'score_thresh': 0.9999, 'batch_size': 2, 'max_detections': 5}, 5)],
)
def test_new_weights_are_compared_too(tmp_path, options, least):
    detector = mbv3zoo.create_detector('mbv3_yolo_small_050', num_classes=2, image_size=64)
    certificate = read_certificate(detector.export(tmp_path / 'm.torchscript', **options))
    assert not certificate.is_blind() and certificate.failures() == []
    assert sum(parity.boxes_compared + parity.kept_compared for parity in certificate.pictures) >= least
    if options:
        own, lower = certificate.pictures[:3], certificate.pictures[3:]
        assert all(parity.kept == 0 and parity.score_thresh == certificate.info.score_thresh for parity in own)
        assert all(parity.score_thresh < 0.1 for parity in lower) and 'as none is above' in certificate.summary()
    # The file has the threshold that was asked for, and nothing else is left.
    assert mbv3zoo.load(tmp_path / 'm.torchscript').info.score_thresh == certificate.info.score_thresh
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.slow
@pytest.mark.parametrize('name', ['onnx', 'openvino', 'torch_export'])
def test_new_weights_are_compared_in_other_formats(tmp_path, name):
    needs(name)
    detector = mbv3zoo.create_detector('mbv3_yolo_small_050', num_classes=2, image_size=64)
    path = detector.export(tmp_path / f'm{FORMATS[name].suffix}', nms=True)
    assert sum(parity.kept_compared for parity in read_certificate(path).pictures) >= 20
    # Of an image without any candidate too.
    assert len(mbv3zoo.load(path).predict(np.zeros((64, 64, 3), np.uint8))) == 0


def test_pictures_that_show_nothing(tmp_path, trained):
    black = [np.zeros((50, 80, 3), np.uint8)]
    for name, options in (('a', {}), ('b', {'nms': True})):
        certificate = read_certificate(
            trained.export(tmp_path / f'{name}.torchscript', image_size=64, pictures=black, **options)
        )
        assert not certificate.is_blind() and certificate.pictures[0].size == (50, 80)


def test_a_graph_that_suppresses_wrongly_is_found_out_though_it_finds_nothing(tmp_path, monkeypatch):
    detector = mbv3zoo.create_detector('mbv3_yolo_small_050', num_classes=2, image_size=64)

    def shifted(*arguments):
        rows = keep_detections(*arguments)
        return torch.cat([rows[:, :1], rows[:, 1:5] + 20, rows[:, 5:]], 1)

    monkeypatch.setattr('mbv3zoo.export.graph.keep_detections', shifted)
    with pytest.raises(ValueError, match='not exported, as .* kept detections differ'):
        detector.export(tmp_path / 'm.torchscript', nms=True)


def test_a_detector_without_any_score_is_not_certified(tmp_path):
    detector = mbv3zoo.create_detector('mbv3_yolo_small_050', num_classes=2, image_size=64)
    with torch.no_grad():
        for conv in detector.head.convs:
            conv.weight.zero_()
            conv.bias.fill_(-200)
    with pytest.raises(ValueError, match='no box of it could be compared with one of PyTorch: no score is above 0'):
        detector.export(tmp_path / 'm.torchscript', nms=True)
    assert list(tmp_path.iterdir()) == []


def test_detectors_for_other_channels_are_compared_too():
    images = drawn_images(5)
    assert [image.shape for image in images] == [(480, 480, 5), (300, 480, 5), (480, 340, 5)]
