"""Processes run in turn here, and what they exchange is passed on by hand. `test_processes.py` has real ones."""

from types import SimpleNamespace

import pytest
import torch

from mbv3zoo.data.load import load_dataset
from mbv3zoo.detector import Detector
from mbv3zoo.evaluation.run import run_evaluation
from mbv3zoo.synth import SyntheticConfig, synthesize
from mbv3zoo.training import shared_evaluation
from mbv3zoo.training.shared_evaluation import evaluate_together


class Stopped(Exception):
    """A process waits for the others."""


@pytest.fixture(scope='module')
def detector():
    return Detector.from_pretrained('mbv3_yolo_small.synth')


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp('scenes')
    synthesize(folder, SyntheticConfig(train=1, val=5, image_size=160, workers=1))
    return load_dataset(folder, 'val')


@pytest.mark.parametrize('processes', [1, 2, 3, 7])
def test_as_one_process_does(detector, data, processes, monkeypatch):
    sent, parts = [], []

    def run(index):
        accelerator = SimpleNamespace(num_processes=processes, process_index=index)
        return evaluate_together(accelerator, detector, data, batch_size=2, workers=0)

    def wait(part):
        parts.append(part)
        raise Stopped

    monkeypatch.setattr(shared_evaluation, 'broadcast', sent.append)
    monkeypatch.setattr(shared_evaluation, 'gather_object', wait)
    for index in range(processes):
        with pytest.raises(Stopped):
            run(index)
    # Each looks at its share, as even as it can be; where there are more processes than images, some at none.
    assert sorted(i for part in parts for i, _ in part) == list(range(5))
    assert max(map(len, parts)) - min(map(len, parts)) <= 1

    monkeypatch.setattr(shared_evaluation, 'gather_object', lambda _: sum(parts, []))
    found, expected = run(0), run_evaluation(detector, data, batch_size=2)
    assert found.metrics == expected.metrics and expected.metrics.ap > 0.1
    # The weights of the first process reach the others before they look at anything.
    assert len(sent) == (processes + 1 if processes > 1 else 0)
    assert all(len(tensors) == len(detector.state_dict()) and torch.is_tensor(tensors[0]) for tensors in sent)
