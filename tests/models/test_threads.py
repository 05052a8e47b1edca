"""The number of torch's threads: chosen by time, limited by cores, given by the environment."""

import logging
import time
from types import SimpleNamespace

import pytest
import torch

from mbv3zoo.models import threads
from mbv3zoo.models.threads import ThreadTimer, torch_threads, use_fastest_threads
from mbv3zoo.runtimes import session


@pytest.fixture(autouse=True)
def eight(monkeypatch):
    """A process with eight threads, whose environment names no number."""
    before = torch.get_num_threads()
    monkeypatch.delenv('OMP_NUM_THREADS', raising=False)
    monkeypatch.setattr(threads, 'usable_cores', lambda: 8)
    torch.set_num_threads(8)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize(
    ('times', 'expected', 'steps'),
    [
        ({8: 1.0, 4: 2.0}, 8, 6),
        ({8: 1.0, 4: 0.97}, 8, 6),  # not worth it
        ({8: 1.0, 4: 0.9, 2: 0.95}, 4, 9),
        ({8: 13.3, 4: 9.0, 2: 3.0, 1: 0.6}, 1, 12),  # another program has the other cores
    ],
)
def test_the_fastest_number_is_taken(monkeypatch, caplog, times, expected, steps):
    clock = [0.0]
    monkeypatch.setattr(time, 'perf_counter', lambda: clock[0])
    timer, count = ThreadTimer(), 0
    with caplog.at_level(logging.INFO, 'mbv3zoo'):
        while not timer.done:
            with timer.step():
                # The first step with a number is slower, and says nothing.
                clock[0] += times[torch.get_num_threads()] * (5 if count % 3 == 0 else 1)
            count += 1
    assert torch.get_num_threads() == expected and count == steps
    assert timer.seconds == pytest.approx(times)
    # Told where it is not what one expects.
    assert (f'{times[8]:g} s with 8' in caplog.text and f'{expected} used' in caplog.text) == (expected < 8)
    assert bool(caplog.text) == (expected < 8)
    with timer.step():
        clock[0] += 1
    assert torch.get_num_threads() == expected


def test_one_thread_is_not_timed():
    torch.set_num_threads(1)
    assert ThreadTimer().done


def test_threads_are_limited_and_put_back(monkeypatch):
    monkeypatch.setattr(threads, 'usable_cores', lambda: 3)
    with torch_threads():
        assert torch.get_num_threads() == 3
    with torch_threads(processes=2):
        assert torch.get_num_threads() == 1
    with pytest.raises(RuntimeError, match='stopped'), torch_threads(5):
        assert torch.get_num_threads() == 5
        raise RuntimeError('stopped')
    assert torch.get_num_threads() == 8


def test_what_the_environment_says_holds(monkeypatch):
    monkeypatch.setenv('OMP_NUM_THREADS', '8')
    monkeypatch.setattr(threads, 'usable_cores', lambda: 3)
    with torch_threads():
        assert torch.get_num_threads() == 8
    use_fastest_threads(None, lambda: pytest.fail('nothing is timed'))
    assert torch.get_num_threads() == 8


def test_a_number_that_is_given_is_taken_without_timing():
    use_fastest_threads(2, lambda: pytest.fail('nothing is timed'))
    assert torch.get_num_threads() == 2
    calls = []
    use_fastest_threads(None, lambda: calls.append(torch.get_num_threads()))
    assert calls[:3] == [2, 2, 2] and set(calls) == {1, 2}


@pytest.mark.parametrize(
    ('usable', 'given', 'device', 'expected'),
    [(2, None, None, 2), (2, 5, None, 5), (8, None, 'cpu', None), (2, None, 'cuda', None)],
)
def test_a_quota_reaches_the_runtimes(monkeypatch, tmp_path, usable, given, device, expected):
    asked = []
    opener = SimpleNamespace(open=lambda path, threads, device: asked.append(threads))
    monkeypatch.setattr(session, 'own_cores', lambda: 8)
    monkeypatch.setattr(session, 'usable_cores', lambda: usable)
    monkeypatch.setattr(session, 'import_module', lambda name: opener)
    (tmp_path / 'model.onnx').touch()
    session.open_session(tmp_path / 'model.onnx', 'onnxruntime', threads=given, device=device)
    assert asked == [expected]
