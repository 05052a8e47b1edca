"""What is prepared once for all budgets."""

import logging

import pytest
from fake_times import network_time, use_fake_times

import mbv3zoo
from mbv3zoo.fitting import fitter as fitter_module
from mbv3zoo.fitting.fitter import Fitter, Target
from mbv3zoo.fitting.graph_timer import Timing
from mbv3zoo.synth import SyntheticConfig, synthesize

pytest.importorskip('onnx')
SIDE = 96


@pytest.fixture
def fitter(monkeypatch, tmp_path):
    use_fake_times(monkeypatch)
    monkeypatch.setenv('MBV3ZOO_CACHE', str(tmp_path / 'cache'))
    monkeypatch.setattr(fitter_module, '_IMAGES', 16)
    folder = tmp_path / 'scenes'
    synthesize(folder, SyntheticConfig(train=16, val=4, image_size=SIDE, workers=0))
    model = mbv3zoo.load('mbv3_yolo_small.synth')
    model.config = model.config.model_copy(update={'image_size': (SIDE, SIDE)})
    sets = [mbv3zoo.load_dataset(folder, split) for split in ('train', 'val')]
    return Fitter(model, *sets, Target('onnxruntime', 1, 'float32', None))


def test_a_narrower_model_is_one_that_its_config_builds(fitter, tmp_path):
    model = fitter.narrow(0.7 * fitter.ms)
    assert model.config.fit.quality_before == fitter.quality
    assert network_time(model) <= 0.7 * fitter.ms
    model.save_pretrained(tmp_path / 'saved')
    assert mbv3zoo.load(tmp_path / 'saved').config == model.config


def test_a_noisy_machine_is_told(fitter, monkeypatch, caplog):
    model = fitter.narrow(0.8 * fitter.ms)
    monkeypatch.setattr(fitter.timer, 'time', lambda _: Timing(0.5, 0.9, 0.55, 0.4))
    with caplog.at_level(logging.WARNING):
        record = fitter.finish(model, model.config.fit, 0.5)
    assert 'differ by 40 %' in caplog.text
    before = model.config.fit
    assert record.predicted_ms / 0.9 == pytest.approx(before.predicted_ms / before.before_ms)
    assert (record.measured_ms, record.before_ms, record.spread, record.quality_after) == (0.5, 0.9, 0.4, 0.5)


def test_a_slow_phase_of_the_machine_is_waited_for_and_told_where_it_stays(fitter, monkeypatch, caplog):
    model = fitter.narrow(0.8 * fitter.ms)
    budget = model.config.fit.budget_ms
    slow, fast = (Timing(ms, 1.25 * ms, 0.8, 0.01) for ms in (1.5 * budget, 0.99 * budget))
    phases = [slow, fast, slow]
    monkeypatch.setattr(fitter.timer, 'time', lambda _: phases.pop(0))
    with caplog.at_level(logging.WARNING):
        assert fitter.finish(model, model.config.fit, 0.5).measured_ms == fast.ms and len(phases) == 1
    assert not caplog.records
    phases[:] = [slow] * 3
    with caplog.at_level(logging.WARNING):
        assert fitter.finish(model, model.config.fit, 0.5).measured_ms == slow.ms and not phases
    assert 'this machine is slower than it was' in caplog.text
