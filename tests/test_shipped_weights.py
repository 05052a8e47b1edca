"""The detector that comes with the package."""

import socket
from pathlib import Path

import pytest
import torch

import mbv3zoo
from mbv3zoo.config_loader import named_weights
from mbv3zoo.data.load import load_split
from mbv3zoo.data.synthetic import CLASS_NAMES, SyntheticConfig, synthesize
from mbv3zoo.evaluation import evaluate

NAME = 'mbv3_yolo_small.synth'
ROOT = Path(__file__).parent.parent


@pytest.fixture
def no_network(monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError('the network was asked')

    monkeypatch.setattr(socket, 'create_connection', refuse)
    monkeypatch.setattr(socket.socket, 'connect', refuse)


def test_it_is_found_and_loaded_by_name_without_a_network(no_network):
    assert mbv3zoo.list_detectors(pretrained=True) == [NAME]
    detector = mbv3zoo.create_detector(NAME, pretrained=True)
    assert detector.config.class_names == tuple(CLASS_NAMES)
    same = mbv3zoo.Detector.from_pretrained(NAME)
    states = zip(detector.state_dict().values(), same.state_dict().values(), strict=True)
    assert all(torch.equal(a, b) for a, b in states)
    # Without pretrained only its settings are taken.
    new = mbv3zoo.create_detector(NAME)
    assert new.config == same.config
    assert not torch.equal(new.head.convs[0].weight, same.head.convs[0].weight)


def test_it_is_small_and_stored_in_half_precision():
    folder = named_weights()[NAME]
    assert sorted(path.name for path in folder.iterdir()) == ['README.md', 'config.json', 'model.safetensors']
    parameters = sum(p.numel() for p in mbv3zoo.create_detector(NAME).parameters())
    assert (folder / 'model.safetensors').stat().st_size < 2.2 * parameters < 5e6


def test_it_finds_what_is_in_the_shipped_scene(no_network):
    detections = mbv3zoo.Detector.from_pretrained(NAME).fuse().predict(ROOT / 'docs' / 'scene.jpg', score_thresh=0.4)
    assert {'triangle', 'heart', 'crescent'} <= set(detections.names)


def test_it_is_good_on_scenes_it_has_not_seen(tmp_path):
    synthesize(tmp_path / 'new', SyntheticConfig(train=0, val=100, seed=7, workers=1))
    metrics = evaluate(mbv3zoo.Detector.from_pretrained(NAME).fuse(), load_split(tmp_path / 'new', 'val')).metrics
    assert metrics.ap > 0.45 and metrics.ap50 > 0.65
