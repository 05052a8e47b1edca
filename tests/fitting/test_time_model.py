"""The time of a network by its widths."""

import pytest
import torch
from fake_times import use_fake_times
from fitting_cases import Chain

from mbv3zoo.fitting.kept_times import KeptTimes
from mbv3zoo.fitting.latency_table import LatencyTable
from mbv3zoo.fitting.time_model import TimeModel
from mbv3zoo.widths.channel_groups import find_groups

pytest.importorskip('onnx')


@pytest.fixture
def model(monkeypatch, tmp_path):
    use_fake_times(monkeypatch)
    monkeypatch.setenv('MBV3ZOO_CACHE', str(tmp_path))
    table = LatencyTable('onnxruntime', 2, False, KeptTimes('onnxruntime', 2, 'float32'))
    return TimeModel(find_groups(Chain().eval(), torch.rand(1, 3, 32, 32)), table)


def test_the_total_is_the_sum_of_its_layers(model):
    """As many operations as the slow count of them: inputs x outputs x pixels."""
    full = model.total(model.full)
    widths = model.full | {'b': 32}
    operations = {'a': 3 * 64, 'b': 64 * 96, 'c': 96 * 32, 'd': 32 * 4}
    narrower = operations | {'b': 64 * 32, 'c': 32 * 32}
    assert model.total(widths) / full == pytest.approx(sum(narrower.values()) / sum(operations.values()), rel=0.02)


def test_a_group_costs_what_its_layers_do(model):
    assert model.neighbours['b'] == {'a', 'b', 'c'}
    saved = model.part(['b'], model.full) - model.part(['b'], model.full | {'b': 32})
    assert saved == pytest.approx(model.total(model.full) - model.total(model.full | {'b': 32}))


def test_layers_without_channels_take_no_time(model):
    without = model.full | {'b': 0}
    operations = {'a': 3 * 64, 'b': 64 * 96, 'c': 96 * 32, 'd': 32 * 4}
    left = (operations['a'] + operations['d']) / sum(operations.values())
    assert model.part(['b'], without) == 0.0 and model.part(['a', 'b'], without) == model.part(['a'], without)
    assert model.total(without) / model.total(model.full) == pytest.approx(left, rel=0.05)
