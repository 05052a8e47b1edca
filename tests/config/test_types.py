import pytest

from mbv3zoo.config.detector import DetectorConfig
from mbv3zoo.config.training import RunConfig


@pytest.mark.parametrize(
    ('given', 'size'), [(320, (320, 320)), ([320, 640], (320, 640)), ((32, 64), (32, 64)), (32, (32, 32))]
)
def test_image_size(given, size):
    assert DetectorConfig(backbone='resnet18', image_size=given).image_size == size
    assert RunConfig(data={'data': 'a'}, image_size=given).image_size == size


@pytest.mark.parametrize('bad', [0, -32, 100, [320, 330], [320], [320, 320, 320], 'big', 320.5, True, None, [None, 32]])
def test_bad_image_size(bad):
    with pytest.raises(ValueError, match='image_size'):
        DetectorConfig.parse({'backbone': 'resnet18', 'image_size': bad})
