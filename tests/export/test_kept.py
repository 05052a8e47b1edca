"""Graphs that are kept as long as the detector is the same: whatever changes it, in whichever way."""

import gc
import threading
import warnings
import weakref
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from timm.layers import freeze_batch_norm_2d
from torch import nn

import mbv3zoo
from mbv3zoo.export import kept as keeping
from mbv3zoo.export import live as deploy
from mbv3zoo.utils import packages


@pytest.fixture
def small():
    return mbv3zoo.create_detector('mbv3_yolo_small_050', num_classes=2, image_size=64).eval()


def kept(detector, runtime='eager', side=64):
    return keeping.kept_live(detector, runtime, image_size=(side, side))


IMAGE = np.random.default_rng(0).integers(0, 256, (1, 3, 64, 64), np.uint8)


def maps(detector):
    """What the detector gives in PyTorch, as its graphs give it."""
    with torch.no_grad():
        logits = detector(torch.from_numpy(IMAGE).to(detector.mean.dtype) / 255)
    return [level.permute(0, 1, 4, 2, 3).flatten(1, 2).numpy() for level in logits]


def assert_agrees(exported, detector):
    for found, expected in zip(exported.run(IMAGE), maps(detector), strict=True):
        assert np.abs(found - expected).max() < 1e-3 * max(1, np.abs(expected).max())


def through_numpy(detector):
    detector.head.convs[0].bias.detach().numpy()[:] += 20


def by_data(detector):
    detector.head.convs[0].bias.data += 20


def by_one_number(detector):
    detector.backbone.model.conv_stem.weight.data[3, 1, 2, 0] += 1


def by_the_order_of_filters(detector):
    weight = detector.head.convs[1].weight
    weight.data = weight.data.flip(0)


def by_the_sign_of_zero(detector):
    detector.head.convs[1].bias.data.zero_()
    kept(detector)
    detector.head.convs[1].bias.data[0] = 1e-38


def by_statistics(detector):
    detector.backbone.model.bn1.running_mean[2] += 1


def by_training(detector):
    detector.train()
    detector(torch.rand(2, 3, 64, 64))[0].mean().backward()
    torch.optim.SGD(detector.parameters(), lr=10.0).step()
    detector.eval()


def by_new_parameters(detector):
    detector.head.convs[0].bias = nn.Parameter(detector.head.convs[0].bias.detach() + 20)


def by_another_activation(detector):
    name = next(name for name, module in detector.neck.named_modules() if isinstance(module, nn.SiLU))
    detector.neck.set_submodule(name, nn.ReLU())


def by_an_activation_of_the_same_class(detector):
    name = next(name for name, module in detector.neck.named_modules() if isinstance(module, nn.SiLU))
    detector.neck.set_submodule(name, nn.LeakyReLU(0.1))
    kept(detector)
    detector.neck.get_submodule(name).negative_slope = 0.9


def by_a_setting(detector):
    detector.backbone.model.bn1.eps = 0.5


def by_a_buffer_of_the_normalisation(detector):
    detector.std.mul_(3)


def by_another_layer_at_its_place(detector):
    conv = detector.head.convs[2]
    detector.head.convs[2] = nn.Conv2d(conv.in_channels, conv.out_channels, 1)


CHANGES = [
    through_numpy, by_data, by_one_number, by_the_order_of_filters, by_the_sign_of_zero, by_statistics, by_training,
    by_new_parameters, by_another_activation, by_an_activation_of_the_same_class, by_a_setting,
    by_a_buffer_of_the_normalisation, by_another_layer_at_its_place,
]  # fmt: skip


@pytest.mark.parametrize('change', CHANGES, ids=lambda change: change.__name__)
def test_a_changed_detector_gets_a_new_graph(small, change):
    first = kept(small)
    assert kept(small) is first
    change(small)
    second = kept(small)
    assert second is not first and kept(small) is second
    assert_agrees(second, small)
    # It neither travels with copies nor keeps the detector from being saved.
    assert 'session' not in str(vars(small))


def test_another_config_is_another_graph(small):
    first = kept(small)
    small.config = small.config.model_copy(update={'class_names': ('x', 'y')})
    assert kept(small).info.class_names == ('x', 'y') and first.info.class_names == ('0', '1')
    image = np.random.default_rng(1).integers(0, 256, (64, 64, 3), np.uint8)
    before = small.predict(image, runtime='eager', score_thresh=0.0)
    small.set_anchors([[[side, side]] * 3 for side in (9, 40, 200)])
    after, expected = (small.predict(image, runtime=runtime, score_thresh=0.0) for runtime in ('eager', None))
    assert len(expected) and torch.allclose(after.boxes, expected.boxes, atol=0.05)
    assert before.boxes.shape != after.boxes.shape or not torch.allclose(before.boxes, after.boxes, atol=1)


def test_frozen_norms_agree_too(small):
    first = kept(small)
    small.backbone.model = freeze_batch_norm_2d(small.backbone.model)
    assert kept(small) is not first
    assert_agrees(kept(small), small)


def test_what_does_not_change_the_results_builds_nothing(small):
    first = kept(small)
    small.train()
    small.requires_grad_(False)
    small.eval()
    small.predict(np.zeros((64, 64, 3), np.uint8))
    small.load_state_dict(small.state_dict())
    assert kept(small) is first


def test_a_detector_that_nobody_holds_any_more_goes_with_its_graphs():
    detector = mbv3zoo.create_detector('mbv3_yolo_small_050', num_classes=2, image_size=64).eval()
    kept(detector), kept(detector)
    built, detector = weakref.ref(kept(detector)), None
    gc.collect()
    assert built() is None


def test_graphs_of_one_moment_share_its_weights(small):
    kept(small), kept(small, side=96)
    moments = {id(graph.moment) for graph in keeping._kept[small].values()}
    assert len(moments) == 1
    # Sizes alternate without a build.
    built = [kept(small, side=side) for side in (64, 96, 64, 96)]
    assert built[0] is built[2] and built[1] is built[3]


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
        built.append(arguments[2].image_size)
        return real(*arguments)

    monkeypatch.setattr(deploy, '_open', count)
    calls = [lambda side=side: kept(small, side=side) for side in (64, 96) * 4]
    assert {exported.info.image_size for exported in together(*calls)} == {(64, 64), (96, 96)}
    assert sorted(built) == [(64, 64), (96, 96)]
    # But not without end.
    for side in (128, 160, 192, 64):
        kept(small, side=side)
    assert len(built) == 6 and len(keeping._kept[small]) == 4


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
    copies, real = [], keeping.whole_copy

    def train_meanwhile(detector):
        copies.append(real(detector))
        if len(copies) < 3:
            with torch.no_grad():
                for conv in detector.head.convs:
                    conv.bias.fill_(100 * len(copies))
        return copies[-1]

    monkeypatch.setattr(keeping, 'whole_copy', train_meanwhile)
    exported = kept(small)
    assert len(copies) == 3 and exported.run(np.zeros((1, 3, 64, 64), np.uint8))[0].min() > 150
    assert kept(small) is exported


def test_weights_that_never_rest_are_no_graph(small, monkeypatch):
    real = keeping.whole_copy

    def train_meanwhile(detector):
        copied = real(detector)
        with torch.no_grad():
            detector.head.convs[0].bias.add_(1)
        return copied

    monkeypatch.setattr(keeping, 'whole_copy', train_meanwhile)
    with pytest.raises(ValueError, match='the weights change all the time.*leave runtime out'):
        kept(small)


def test_a_build_that_fails_leaves_nothing_behind(small, monkeypatch):
    monkeypatch.setattr(packages, 'is_installed', lambda package: package != 'openvino')
    for _ in range(2):
        with pytest.raises(ImportError, match='needs openvino'):
            kept(small, 'openvino')
    monkeypatch.undo()
    assert kept(small).runtime == 'eager'
