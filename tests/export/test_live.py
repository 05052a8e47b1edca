import json
import threading
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import numpy as np
import pytest
import torch

import mbv3zoo
from mbv3zoo.cli.main import app
from mbv3zoo.export import live as deploy
from mbv3zoo.export.live import fastest, open_live
from mbv3zoo.runtimes.export_info import ExportInfo
from mbv3zoo.runtimes.exported_detector import ExportedDetector

SCENE = 'docs/scene.jpg'


@pytest.fixture(scope='module')
def detector():
    return mbv3zoo.Detector.from_pretrained('mbv3_yolo_small.synth')


@pytest.fixture(scope='module')
def scene():
    from pathlib import Path

    return Path(__file__).parents[2] / SCENE


@pytest.mark.parametrize('runtime', ['eager', 'onnxruntime', 'openvino'])
def test_every_runtime_finds_the_same(detector, scene, runtime):
    if runtime != 'eager':
        pytest.importorskip(runtime)
    expected, found = detector.predict(scene), detector.predict(scene, runtime=runtime)
    assert len(expected) >= 3 and found.names == expected.names and found.path == expected.path
    assert isinstance(found.boxes, torch.Tensor)
    assert torch.allclose(found.boxes, expected.boxes, atol=0.05)
    assert torch.allclose(found.scores, expected.scores, atol=1e-3)
    # Many pictures of different shapes, and another size.
    many = [np.zeros((50, 90, 3), np.uint8), str(scene), np.zeros((90, 50, 3), np.uint8)]
    found = detector.predict(many, runtime=runtime, image_size=(192, 256), batch_size=2)
    expected = detector.predict(many, image_size=(192, 256))
    assert [part.names for part in found] == [part.names for part in expected]


@pytest.mark.slow
def test_compile(detector, scene):
    found = detector.predict(scene, runtime='compile', image_size=64, score_thresh=0.01)
    expected = detector.predict(scene, image_size=64, score_thresh=0.01)
    assert torch.allclose(found.boxes, expected.boxes, atol=0.05) and len(found)


def test_what_was_built_is_kept_until_the_weights_change(scene):
    detector = mbv3zoo.create_detector('mbv3_yolo_small_050', num_classes=2, image_size=64).eval()

    def built():
        return deploy.kept_live(detector, 'eager', image_size=(64, 64), threads=None, device=None)

    first = built()
    assert built() is first
    with torch.no_grad():
        detector.head.convs[0].bias.add_(20)
    second = built()
    assert second is not first
    assert second.run(np.zeros((1, 3, 64, 64), np.uint8))[0].max() > 15
    # It neither travels with copies nor keeps the detector from being saved.
    assert 'session' not in str(vars(detector))


@pytest.fixture
def small():
    return mbv3zoo.create_detector('mbv3_yolo_small_050', num_classes=2, image_size=64).eval()


def kept(detector, runtime='eager', side=64):
    return deploy.kept_live(detector, runtime, image_size=(side, side))


def together(*calls):
    with ThreadPoolExecutor(len(calls)) as threads:
        return [future.result() for future in [threads.submit(call) for call in calls]]


@pytest.mark.parametrize('runtime', ['eager', 'openvino'])
def test_threads_that_ask_first_at_once_wait_for_the_one_that_builds(small, runtime, monkeypatch):
    if runtime != 'eager':
        pytest.importorskip(runtime)
    built, real, filters = [], deploy._open, list(warnings.filters)

    def count(*arguments):
        built.append(arguments)
        return real(*arguments)

    monkeypatch.setattr(deploy, '_open', count)
    images = np.zeros((1, 3, 64, 64), np.uint8)
    exported, *others = together(*[lambda: kept(small, runtime)] * 4)
    assert len(built) == 1 and exported.runtime == runtime and all(other is exported for other in others)
    outputs = together(*[lambda: exported.run(images)] * 4)
    assert all(np.array_equal(outputs[0][0], other[0]) for other in outputs)
    assert warnings.filters == filters


def test_threads_with_several_graphs_of_one_detector_build_each_once(small, monkeypatch):
    built, real = [], deploy._open

    def count(*arguments):
        built.append(arguments[2])
        return real(*arguments)

    monkeypatch.setattr(deploy, '_open', count)
    calls = [lambda side=side: kept(small, side=side) for side in (64, 96) * 4]
    assert {exported.info.image_size for exported in together(*calls)} == {(64, 64), (96, 96)}
    assert sorted(built) == [(64, 64), (96, 96)]
    # But not without end.
    for side in (128, 160, 192, 64):
        kept(small, side=side)
    assert len(built) == 6 and len(deploy._kept[small]) == 4


def test_detectors_and_runtimes_of_several_threads_do_not_disturb_each_other(small):
    pytest.importorskip('openvino'), pytest.importorskip('onnxruntime')
    other = mbv3zoo.create_detector('mbv3_yolo_small_050', num_classes=3, image_size=64).eval()
    image = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    cases = [(small, 'onnxruntime'), (other, 'openvino'), (other, 'eager')]
    wanted, built = small.predict(image, score_thresh=0), threading.Event()

    def predict_meanwhile():
        # PyTorch itself, which has other kernels while it writes a graph.
        found = [small.predict(image, score_thresh=0)]
        while not built.is_set():
            found.append(small.predict(image, score_thresh=0))
        return found

    with ThreadPoolExecutor(4) as threads:
        beside = threads.submit(predict_meanwhile)
        graphs = [*threads.map(lambda case: kept(*case), cases)]
        built.set()
        assert all(torch.equal(found.scores, wanted.scores) for found in beside.result())
    for graph, (one, runtime) in zip(graphs, cases, strict=True):
        assert (graph.runtime, graph.info.class_names) == (runtime, one.config.class_names)
        found, expected = (each.predict(image, score_thresh=0) for each in (graph, one))
        assert torch.allclose(found.scores, expected.scores, atol=1e-3) and len(found)


def test_a_graph_has_the_weights_of_one_moment_though_they_change_while_it_is_built(small, monkeypatch):
    copies, real = [], deploy.deepcopy

    def train_meanwhile(detector):
        copies.append(real(detector))
        if len(copies) < 3:
            with torch.no_grad():
                for conv in detector.head.convs:
                    conv.bias.fill_(100 * len(copies))
        return copies[-1]

    monkeypatch.setattr(deploy, 'deepcopy', train_meanwhile)
    exported = kept(small)
    assert len(copies) == 3 and exported.run(np.zeros((1, 3, 64, 64), np.uint8))[0].min() > 150
    assert kept(small) is exported


def test_weights_that_never_rest_are_no_graph(small, monkeypatch):
    def train_meanwhile(detector):
        with torch.no_grad():
            detector.head.convs[0].bias.add_(1)

    monkeypatch.setattr(deploy, 'deepcopy', train_meanwhile)
    with pytest.raises(ValueError, match='the weights change all the time.*leave runtime out'):
        kept(small)


def test_a_build_that_fails_leaves_nothing_behind(small, monkeypatch):
    monkeypatch.setattr(deploy, '_missing', lambda runtime: ['openvino'])
    for _ in range(2):
        with pytest.raises(ImportError, match='needs openvino'):
            kept(small, 'openvino')
    monkeypatch.undo()
    assert kept(small).runtime == 'eager'


def test_weights_that_are_replaced_are_new_ones_wherever_they_lie(small):
    first = kept(small)
    bias = small.head.convs[0].bias
    small.head.convs[0].bias = torch.nn.Parameter(bias.detach() + 20)
    del bias
    assert kept(small).run(np.zeros((1, 3, 64, 64), np.uint8))[0].max() > 15 and kept(small) is not first


def test_the_detector_stays_as_it_is(detector, scene):
    before = {name: tensor.clone() for name, tensor in detector.state_dict().items()}
    open_live(detector, 'eager')
    assert not detector.fused
    assert all(torch.equal(tensor, before[name]) for name, tensor in detector.state_dict().items())


def test_auto_takes_the_fastest():
    def one(name, seconds):
        session = SimpleNamespace(runtime=name, metadata=None)
        info = ExportInfo(
            library_version='0', backbone='b', class_names=('a',), in_chans=3, image_size=32, strides=(32,),
            anchors=(((8, 8),),),
        )  # fmt: skip
        exported = ExportedDetector(session, info)
        exported.run = lambda images: time.sleep(seconds)
        return exported

    detectors = [one('slow', 0.02), one('fast', 0.001), one('middle', 0.01)]
    assert fastest(detectors).runtime == 'fast'
    assert fastest(detectors[:1]).runtime == 'slow'


def test_auto_on_a_detector(scene):
    detector = mbv3zoo.create_detector('mbv3_yolo_small_050', num_classes=2, image_size=64).eval()
    assert open_live(detector, 'auto').runtime in ('eager', 'onnxruntime', 'openvino')


def test_errors(detector, scene):
    with pytest.raises(ValueError, match="unknown runtime 'tensorrt'; expected one of eager, compile"):
        detector.predict(scene, runtime='tensorrt')
    with pytest.raises(ValueError, match='threads needs a runtime'):
        detector.predict(scene, threads=2)
    with pytest.raises(ValueError, match="device 'cuda:77': torch cannot use it"):
        detector.predict(scene, runtime='eager', device='cuda:77')


def test_a_runtime_that_is_not_installed(detector, monkeypatch):
    monkeypatch.setattr(deploy, '_missing', lambda runtime: ['openvino'])
    with pytest.raises(ImportError, match=r'needs openvino; install with: pip install "mbv3zoo\[export\]"'):
        open_live(detector, 'openvino')


def test_a_graph_is_made_for_the_size_that_is_asked_for(scene, tmp_path):
    name = 'mbv3_yolo_small.synth'
    opened = mbv3zoo.load(name, runtime='eager', image_size=96)
    assert opened.info.image_size == (96, 96)
    assert mbv3zoo.load(name, runtime='eager', image_size=(64, 96)).info.image_size == (64, 96)
    with pytest.raises(ValueError, match=r'multiples of 32, given \(100, 100\)'):
        mbv3zoo.load(name, runtime='eager', image_size=100)
    with pytest.raises(ValueError, match='image_size is for a detector in a named runtime; give it to predict'):
        mbv3zoo.load(name, image_size=96)
    with pytest.raises(ValueError, match='image_size is for a detector in a named runtime'):
        mbv3zoo.load('model.onnx', runtime='onnxruntime', image_size=96)
    options = ['--image-size', '96', '--runtime', 'eager', '--no-draw', '--out', str(tmp_path / 'out')]
    app(['predict', name, str(scene), *options], standalone_mode=False)
    found = json.loads((tmp_path / 'out' / 'predictions.json').read_text())
    assert found
