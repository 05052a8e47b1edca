"""The task stands in the config."""

import pytest

from mbv3zoo.config.detector import DetectorConfig
from mbv3zoo.config.segmenter import SegmenterConfig
from mbv3zoo.config.tasks import parse_model_config


def test_the_class_follows_from_the_task():
    assert isinstance(parse_model_config({'backbone': 'resnet18'}), DetectorConfig)
    assert isinstance(parse_model_config({'backbone': 'resnet18', 'task': 'detection'}), DetectorConfig)
    config = SegmenterConfig(backbone='resnet18', class_names=['a', 'b'])
    assert parse_model_config(config.model_dump(mode='json')) == config


def test_an_unknown_task_is_named_with_its_source():
    with pytest.raises(ValueError, match=r"a.yaml: task is 'pose', expected one of detection, segmentation"):
        parse_model_config({'backbone': 'resnet18', 'task': 'pose'}, 'a.yaml')
    with pytest.raises(ValueError, match=r'task is \[1\]'):
        parse_model_config({'backbone': 'resnet18', 'task': [1]})
