"""Times of whole networks."""

import pytest
import torch

import mbv3zoo
from mbv3zoo.fitting import graph_timer
from mbv3zoo.fitting.graph_timer import GraphTimer

pytest.importorskip('onnxscript')


@pytest.fixture(scope='module')
def detector():
    torch.manual_seed(0)
    return mbv3zoo.create_detector('mbv3_yolo_small', num_classes=4, image_size=64).eval()


@pytest.fixture(autouse=True)
def short(monkeypatch):
    monkeypatch.setattr(graph_timer, '_ROUNDS', 3)
    monkeypatch.setattr(graph_timer, '_SECONDS', 0.01)


@pytest.mark.parametrize('runtime', ['onnxruntime', 'openvino'])
def test_a_network_is_timed_in_turns_with_the_first(detector, runtime):
    pytest.importorskip(runtime)
    timer = GraphTimer(detector, runtime, 1)
    timing = timer.time(detector)
    assert timing.ms > 0 and timer.ms > 0 and timing.spread >= 0
    # The same network twice; a machine that others use too is given much room.
    assert 0.3 < timing.relative < 3 and 0.2 < timing.ms / timing.first_ms < 5


def test_an_int8_graph_is_quantized_before_it_is_timed(detector, monkeypatch):
    pytest.importorskip('onnxruntime')
    seen = []
    own = graph_timer.quantize
    monkeypatch.setattr(graph_timer, 'quantize', lambda path, info, pixels: seen.append(own(path, info, pixels)))
    pixels = [torch.randint(0, 256, (1, 3, 64, 64), dtype=torch.uint8).numpy() for _ in range(4)]
    timer = GraphTimer(detector, 'onnxruntime', 1, lambda _: pixels)
    assert timer.time(detector).ms > 0 and len(seen) == 2
