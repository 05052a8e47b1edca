"""The record of a fit."""

import pytest

from mbv3zoo.config.detector import DetectorConfig
from mbv3zoo.config.fit_record import FitRecord

RECORD = {
    'image_size': [320, 320], 'budget_ms': 12.0, 'measured_ms': 11.5, 'predicted_ms': 11.7, 'before_ms': 20.0,
    'spread': 0.05, 'runtime': 'openvino 2026.4', 'machine': 'A processor', 'threads': 2, 'precision': 'float32',
    'measure': 'AP', 'quality_before': 0.55, 'quality_narrowed': 0.45, 'quality_after': 0.54,
}  # fmt: skip


def test_it_is_saved_in_the_config():
    config = DetectorConfig.parse({'backbone': 'mbv3_yolo_small', 'fit': RECORD})
    assert DetectorConfig.parse(config.model_dump(mode='json')) == config
    assert config.fit.measured_ms == 11.5


def test_a_config_without_one_is_as_earlier_versions_wrote_it():
    assert not {'fit', 'widths'} & DetectorConfig(backbone='mbv3_yolo_small').model_dump().keys()


@pytest.mark.parametrize(
    ('key', 'value'),
    [
        ('budget_ms', 0),
        ('measured_ms', -1),
        ('precision', 'float64'),
        ('quality_after', 1.5),
        ('machine', 'a\nb'),
        ('image_size', 8),
    ],
)
def test_what_cannot_be_is_refused(key, value):
    with pytest.raises(ValueError, match=key):
        FitRecord.parse(RECORD | {key: value})
