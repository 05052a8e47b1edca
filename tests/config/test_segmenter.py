"""Settings of a segmenter, and the config of each task."""

import pytest

from mbv3zoo.config.detector import DetectorConfig
from mbv3zoo.config.segmenter import SegmenterConfig


def test_what_is_not_given_has_a_default():
    config = SegmenterConfig(backbone='resnet18')
    assert (config.task, config.num_classes, config.image_size) == ('segmentation', 21, (512, 512))
    assert config.class_names[:2] == ('0', '1') and (config.low_stride, config.high_stride) == (8, None)


@pytest.mark.parametrize(
    ('settings', 'message'),
    [
        ({'num_classes': 256}, 'num_classes: expected a number less than or equal to 255'),
        ({'class_names': ['a', 'a']}, 'unique'),
        ({'image_size': 100}, 'multiples of 32'),
        ({'low_stride': 16}, 'low_stride'),
        ({'high_stride': 8}, 'high_stride'),
        ({'anchors': 3}, "unknown key 'anchors'"),
        ({'task': 'detection'}, 'task'),
    ],
)
def test_what_does_not_fit_is_named(settings, message):
    with pytest.raises(ValueError, match=message):
        SegmenterConfig(backbone='resnet18', **settings)


def test_a_detector_says_its_task_without_writing_it():
    config = DetectorConfig(backbone='resnet18')
    assert config.task == 'detection' and 'task' not in config.model_dump()
