"""What several commands are tried on."""

import logging

import pytest
import yaml
from program import run

from mbv3zoo.create import create_detector


@pytest.fixture(autouse=True)
def own_log(monkeypatch):
    """The program's log goes to a stream of the test, which is closed after it."""
    logger = logging.getLogger('mbv3zoo')
    monkeypatch.setattr(logger, 'handlers', [])
    monkeypatch.setattr(logger, 'level', logger.level)


@pytest.fixture(scope='session')
def scenes(tmp_path_factory):
    folder = tmp_path_factory.mktemp('synth') / 'scenes'
    run('synth', folder, '--train', 6, '--val', 3, '--image-size', 96, '--workers', 1)
    return folder


@pytest.fixture(scope='session')
def saved(tmp_path_factory, scenes):
    names = yaml.safe_load((scenes / 'data.yaml').read_text())['names']
    detector = create_detector('mbv3_yolo_small_050', class_names=names, image_size=64)
    return detector.save_pretrained(tmp_path_factory.mktemp('saved') / 'detector')
