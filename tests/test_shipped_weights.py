"""The detectors that come with the package."""

import json
import socket
from pathlib import Path

import pytest
import torch

import mbv3zoo
from mbv3zoo.data.load import load_dataset
from mbv3zoo.evaluation.run import run_evaluation as evaluate
from mbv3zoo.synth import CLASS_NAMES, SyntheticConfig, synthesize
from mbv3zoo.utils.files import file_digest
from mbv3zoo.zoo.configs import named_weights

# AP that each has at least on scenes it has not seen.
LEAST = {
    'mbv3_yolo_medium_v2.synth': 0.5,
    'mbv3_yolo_nano_v2.synth': 0.4,
    'mbv3_yolo_small.synth': 0.45,
    'mbv3_yolo_small_v2.synth': 0.45,
}
NAMES = list(LEAST)
ROOT = Path(__file__).parent.parent


@pytest.fixture
def no_network(monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError('the network was asked')

    monkeypatch.setattr(socket, 'create_connection', refuse)
    monkeypatch.setattr(socket.socket, 'connect', refuse)


def test_they_are_listed():
    assert mbv3zoo.list_detectors(pretrained=True) == NAMES


@pytest.mark.parametrize('name', NAMES)
def test_it_is_found_and_loaded_by_name_without_a_network(no_network, name):
    detector = mbv3zoo.create_detector(name, pretrained=True)
    assert detector.config.class_names == tuple(CLASS_NAMES)
    same = mbv3zoo.Detector.from_pretrained(name)
    states = zip(detector.state_dict().values(), same.state_dict().values(), strict=True)
    assert all(torch.equal(a, b) for a, b in states)
    # Without pretrained only its settings are taken.
    new = mbv3zoo.create_detector(name)
    assert new.config.model_copy(update={'licenses': same.config.licenses}) == same.config
    assert new.config.licenses.data == () and same.config.licenses.data
    assert not torch.equal(next(new.head.parameters()), next(same.head.parameters()))


@pytest.mark.parametrize('name', NAMES)
def test_it_is_stored_in_half_precision(name):
    folder = named_weights()[name]
    assert sorted(path.name for path in folder.iterdir()) == [
        'README.md', 'config.json', 'detector.safetensors', 'model.safetensors', 'predictions.png',
    ]  # fmt: skip
    parameters = sum(p.numel() for p in mbv3zoo.create_detector(name).parameters())
    size = sum(path.stat().st_size for path in folder.glob('*.safetensors'))
    assert size < 2.2 * parameters


@pytest.mark.parametrize('name', NAMES)
def test_its_weights_are_checked_by_their_digests(name):
    folder = named_weights()[name]
    digests = json.loads((folder / 'config.json').read_text(encoding='utf-8'))['sha256']
    assert digests == {path.name: file_digest(path) for path in folder.glob('*.safetensors')}


def test_all_together_are_small():
    files = [path for folder in named_weights().values() for path in folder.iterdir()]
    assert sum(path.stat().st_size for path in files) < 20e6


@pytest.mark.parametrize('name', NAMES)
def test_it_finds_what_is_in_the_shipped_scene(no_network, name):
    detections = mbv3zoo.Detector.from_pretrained(name).fuse().predict(ROOT / 'docs' / 'scene.jpg', score_thresh=0.4)
    assert {'triangle', 'heart', 'crescent'} <= set(detections.names)


@pytest.mark.parametrize('name', NAMES)
def test_it_is_good_on_scenes_it_has_not_seen(tmp_path, name):
    synthesize(tmp_path / 'new', SyntheticConfig(train=0, val=100, seed=7, workers=1))
    metrics = evaluate(mbv3zoo.Detector.from_pretrained(name).fuse(), load_dataset(tmp_path / 'new', 'val')).metrics
    assert metrics.ap > LEAST[name] and metrics.ap50 > LEAST[name] + 0.2
