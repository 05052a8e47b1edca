import json

import pytest
from exported_files import RUNNABLE, SIZE

from mbv3zoo.export.certificate import certificate_path, read_certificate
from mbv3zoo.export.certify import drawn_images


@pytest.mark.parametrize('name', RUNNABLE)
def test_the_certificate(name, exported):
    certificate = read_certificate(exported(name))
    assert certificate.format == name and certificate.compared and certificate.failures() == []
    assert [parity.size for parity in certificate.pictures] == [(480, 480), (300, 480), (480, 340)]
    for parity in certificate.pictures:
        assert 0 < parity.logits_max < 1e-2 and parity.logits_relative < 1e-4 and parity.letterbox <= 1
    assert sum(parity.kept for parity in certificate.pictures) > 3 and certificate.versions['torch']
    assert json.loads(certificate_path(exported(name)).read_text())['info']['image_size'] == list(SIZE)


def test_detectors_for_other_channels_are_compared_too():
    images = drawn_images(5)
    assert [image.shape for image in images] == [(480, 480, 5), (300, 480, 5), (480, 340, 5)]
