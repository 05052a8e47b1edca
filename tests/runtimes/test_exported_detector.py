import json

import numpy as np
import pytest
from PIL import Image

import mbv3zoo
from mbv3zoo.runtimes.export_info import ExportInfo
from mbv3zoo.runtimes.exported_detector import ExportedDetector

INFO = ExportInfo(
    library_version='0', backbone='b', class_names=('a', 'b'), in_chans=3, image_size=32, strides=(8, 16, 32),
    anchors=(((8, 8),), ((16, 16),), ((32, 32),)),
)  # fmt: skip


class Fake:
    """Gives maps in which the first pixel of each picture can be found again."""

    runtime, metadata, device = 'fake', None, 'cpu'

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


def test_a_file_of_more_pixels_than_asked_for(tmp_path):
    Image.new('RGB', (9, 6)).save(tmp_path / 'a.png')
    detector = ExportedDetector(Fake(), INFO)
    assert detector.predict(tmp_path / 'a.png', max_pixels=54).image_size == (6, 9)
    for found in (detector.predict, detector.iter_predict):
        with pytest.warns(UserWarning, match=r'a\.png.*54 pixels, more than 53'):
            assert all('more than 53' in each.error for each in found([tmp_path / 'a.png'] * 2, max_pixels=53))
        with pytest.raises(ValueError, match='max_pixels is 0; expected'):
            found([], max_pixels=0)


def test_it_has_names_and_a_device_as_a_detector_and_a_call_names_predict():
    detector = ExportedDetector(Fake(), INFO)
    assert detector.class_names == ('a', 'b') and detector.device == 'cpu'
    for images, given in (('a.jpg', "'a.jpg'"), (np.zeros((1, 3, 32, 32), np.float32), 'ndarray')):
        with pytest.raises(ValueError, match=rf'predict\(\) takes images and files, given {given}, and run\(\)'):
            detector(images)


def test_a_graph_of_another_size():
    with pytest.raises(ValueError, match=r'image_size is \(64, 64\), but the exported graph takes \(32, 32\) only'):
        ExportedDetector(Fake(), INFO).predict(np.zeros((9, 9, 3), np.uint8), image_size=64)


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
    monkeypatch.setattr('mbv3zoo.runtimes.exported_model.open_session', lambda *args, **kwargs: Fake())
    if certificate is not None:
        (tmp_path / 'm.onnx.json').write_text(certificate)
    with pytest.raises(ValueError, match=said):
        mbv3zoo.load(tmp_path / 'm.onnx')
