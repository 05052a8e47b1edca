"""Detectors exported in int8 find what they find in float."""

import pytest
from PIL import Image

import mbv3zoo
from mbv3zoo.export.certificate import read_certificate
from mbv3zoo.synth import SyntheticConfig, synthesize

pytest.importorskip('openvino')
pytest.importorskip('nncf')
pytest.importorskip('onnxruntime')

SIZE = 192


@pytest.fixture(scope='module')
def detector():
    return mbv3zoo.Detector.from_pretrained('mbv3_yolo_small.synth')


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp('scenes')
    synthesize(folder, SyntheticConfig(image_size=SIZE, train=40, val=60, workers=1))
    return str(folder)


@pytest.mark.parametrize('suffix', ['.onnx', pytest.param('.xml', marks=pytest.mark.slow)])
def test_ap_stays_within_a_point(suffix, detector, data, tmp_path):
    path = detector.export(tmp_path / f'model{suffix}', image_size=SIZE, precision='int8', calibration=data, data=data)
    ap = read_certificate(path).ap
    assert ap.images == 60 and ap.ap > 0.4
    assert abs(ap.ap_exported - ap.ap) < 0.01
    opened = mbv3zoo.load(path)
    assert opened.info.precision == 'int8'
    assert len(opened.predict(f'{data}/images/val/000000.jpg', score_thresh=0.1))


@pytest.mark.slow
@pytest.mark.parametrize('suffix', ['.onnx', '.xml'])
def test_with_nms_inside_it_finds_what_it_finds_with_nms_outside(suffix, detector, data, tmp_path):
    options = {'image_size': SIZE, 'precision': 'int8', 'calibration': data}
    outside = mbv3zoo.load(detector.export(tmp_path / f'outside{suffix}', **options))
    path = detector.export(tmp_path / f'inside{suffix}', nms=True, data=data, **options)
    inside, certificate = mbv3zoo.load(path), read_certificate(path)
    assert inside.info.outputs == 'detections' and inside.info.precision == 'int8' and certificate.ap.ap_exported > 0.4
    assert 'kept, ' in certificate.summary() and 'without suppression' not in certificate.summary()
    images = [f'{data}/images/val/{number:06}.jpg' for number in range(20)]
    pairs = list(zip(inside.predict(images), outside.predict(images), strict=True))
    assert sum(len(found) for found, _ in pairs) > 20
    assert sum(abs(len(found) - len(expected)) for found, expected in pairs) <= 1


def test_without_labelled_data_most_of_the_best_boxes_are_found_again(detector, data, tmp_path):
    options = {'image_size': SIZE, 'precision': 'int8'}
    certificate = read_certificate(detector.export(tmp_path / 'm.onnx', calibration=f'{data}/images/train', **options))
    assert all(parity.best == 100 and parity.best_again >= 90 for parity in certificate.pictures)
    assert 'of the 100 best found again' in certificate.summary() and certificate.ap is None
    (tmp_path / 'black').mkdir()
    Image.new('RGB', (64, 64)).save(tmp_path / 'black' / '0.png')
    with pytest.raises(ValueError, match='of the 100 best boxes .* at least 70 are expected.*; calibrate on'):
        detector.export(tmp_path / 'b.onnx', calibration=tmp_path / 'black', **options)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ['black', 'm.onnx', 'm.onnx.json']


def test_wrong_pictures_to_calibrate_on_are_found_out(detector, data, tmp_path):
    # Black ones: no map has the range that it has on real pictures.
    (tmp_path / 'black').mkdir()
    for i in range(3):
        Image.new('RGB', (SIZE, SIZE)).save(tmp_path / 'black' / f'{i}.png')
    (tmp_path / 'out').mkdir()
    with pytest.raises(ValueError, match='differs from PyTorch by more than is allowed'):
        detector.export(
            tmp_path / 'out' / 'model.onnx',
            image_size=SIZE,
            precision='int8',
            calibration=str(tmp_path / 'black'),
            data=data,
        )
    assert not list((tmp_path / 'out').iterdir())
