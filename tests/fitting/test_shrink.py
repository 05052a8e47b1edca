"""Narrower networks, until they are measured to be fast enough."""

import copy
from types import SimpleNamespace

import pytest
import torch
from fake_times import network_time, use_fake_times

import mbv3zoo
from mbv3zoo.config.training import TrainConfig
from mbv3zoo.data.loader import Targets
from mbv3zoo.fitting import graph_timer
from mbv3zoo.fitting import shrink as shrink_module
from mbv3zoo.fitting.graph_timer import GraphTimer, Timing
from mbv3zoo.fitting.kept_times import KeptTimes
from mbv3zoo.fitting.latency_table import LatencyTable
from mbv3zoo.fitting.shrink import Shrinker
from mbv3zoo.training.losses import create_loss

pytest.importorskip('onnx')
SIDE = 96


@pytest.fixture(scope='module')
def detector():
    model = mbv3zoo.load('mbv3_yolo_small.synth').eval()
    model.config = model.config.model_copy(update={'image_size': (SIDE, SIDE)})
    return model


@pytest.fixture
def shrinker(detector, monkeypatch, tmp_path):
    use_fake_times(monkeypatch)
    monkeypatch.setenv('MBV3ZOO_CACHE', str(tmp_path))
    return make(detector)


def make(detector):
    timer = GraphTimer(detector, 'onnxruntime', 1)
    table = LatencyTable('onnxruntime', 1, False, KeptTimes('onnxruntime', 1, 'float32'))
    config = TrainConfig()
    torch.manual_seed(0)
    boxes = torch.tensor([[10.0, 10, 60, 60], [30, 20, 80, 90]])
    targets = Targets(torch.tensor([0, 1]), torch.tensor([1, 2]), boxes)
    batch = torch.randint(0, 256, (2, 3, SIDE, SIDE), dtype=torch.uint8), targets
    return Shrinker(detector, table, timer, lambda network: create_loss(network, config), [batch])


@pytest.mark.parametrize('share', [0.8, 0.5])
def test_the_time_is_reached_and_not_by_much_too_little(shrinker, detector, share):
    found = shrinker.shrink(share)
    whole = network_time(detector)
    assert 0.9 * share < network_time(found.network) / whole <= share
    assert found.timing.relative == pytest.approx(network_time(found.network) / whole)
    assert found.predicted == pytest.approx(found.timing.relative, rel=0.05)
    assert all(found.units[name] <= units for name, units in shrinker.model.full.items())


def test_the_network_that_is_fitted_stays(shrinker, detector):
    before = {name: value.clone() for name, value in detector.state_dict().items()}
    shrinker.shrink(0.7)
    assert all(torch.equal(value, before[name]) for name, value in detector.state_dict().items())


def test_what_the_unchanged_network_is_worth_is_found_once_for_all_budgets(shrinker, monkeypatch):
    asked = []
    own = shrink_module.taylor_importance
    monkeypatch.setattr(
        shrink_module, 'taylor_importance', lambda network, *_: asked.append(network) or own(network, *_)
    )
    shares = [shrinker.shrink(share, stages=1).timing.relative for share in (0.8, 0.6)]
    assert shares[1] <= 0.6 < shares[0] <= 0.8
    assert sum(network is shrinker.network for network in asked) == 1


def test_a_table_that_is_wrong_is_corrected_by_whole_graphs(detector, monkeypatch, tmp_path):
    """Where all layers save half of what the table says, the time is reached nevertheless."""
    use_fake_times(monkeypatch)
    monkeypatch.setenv('MBV3ZOO_CACHE', str(tmp_path))
    own = graph_timer.GraphTimer._open
    whole = network_time(detector)
    monkeypatch.setattr(graph_timer.GraphTimer, '_open', lambda self, network: whole + (own(self, network) - whole) / 2)
    found = make(detector).shrink(0.75)
    assert 0.69 < found.timing.relative <= 0.75
    assert found.predicted == pytest.approx(found.timing.relative, rel=0.05)


@pytest.mark.parametrize('factors', [(1, 1, 1.05, 1.03, 1.02, 1.01, 1), (1, 1, 0.8, 1.1, 1.1, 1.1, 1.1)])
def test_timings_that_are_disturbed(factors, shrinker, monkeypatch):
    """Tries aim lower and lower; where only an early one was fast enough, that one is taken."""
    own, left = shrinker.timer.time, [*factors]

    def disturbed(network):
        timing = own(network)
        return timing._replace(relative=timing.relative * left.pop(0))

    monkeypatch.setattr(shrinker.timer, 'time', disturbed)
    found = shrinker.shrink(0.7)
    assert found.timing.relative <= 0.7 < found.timing.relative * 1.3


def test_what_is_not_reached_is_told(detector, monkeypatch, tmp_path):
    """Whole graphs that get no faster, whatever the table says."""
    use_fake_times(monkeypatch)
    monkeypatch.setenv('MBV3ZOO_CACHE', str(tmp_path))
    monkeypatch.setattr(graph_timer.GraphTimer, '_open', lambda self, network: 10.0)
    with pytest.raises(ValueError, match=r'takes 10\.00 ms, 1\.00 of the time before; expected at most 0\.80'):
        make(detector).shrink(0.8)


def test_the_nearest_is_named_where_none_is_fast_enough(shrinker, monkeypatch):
    """Not the one of the fewest milliseconds, which may have been timed while the machine was faster."""
    timings = [Timing(8.0, 9.0, 0.9, 0.1), Timing(9.0, 13.0, 0.7, 0.1)]
    monkeypatch.setattr(Shrinker, '_try', lambda *_: [SimpleNamespace(timing=timing) for timing in timings])
    with pytest.raises(ValueError, match=r'takes 9\.00 ms, 0\.70 of the time before; expected at most 0\.50'):
        shrinker.shrink(0.5, stages=1)


def test_the_smallest_network_is_below_all_others(shrinker):
    assert 0 < shrinker.smallest < 0.5
    assert shrinker.shrink(0.6).timing.relative > shrinker.smallest


def test_a_smaller_input_counts_against_the_first(detector, shrinker):
    """Times are shares of the first network's, also where the one that gets narrower has a smaller input."""
    small = copy.deepcopy(detector)
    small.config = small.config.model_copy(update={'image_size': (SIDE - 32, SIDE - 32)})
    own = network_time(small) / network_time(detector)
    other = Shrinker(small, shrinker.model.table, shrinker.timer, shrinker.make_loss, shrinker.batches)
    assert other.start == pytest.approx(own) and own < 0.6 and other.smallest < own * shrinker.smallest + 0.05
    found = other.shrink(0.75 * own)
    assert 0.9 * 0.75 * own < found.timing.relative <= 0.75 * own
    assert found.predicted == pytest.approx(found.timing.relative, rel=0.05)
    # It is fast enough as it is.
    same = other.shrink(1.1 * own)
    assert same.units == other.model.full and same.predicted == other.start
