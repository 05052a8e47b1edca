"""Torch detectors and exported ones run by one interface."""

import threading
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from mbv3zoo.create import create_detector, create_segmenter
from mbv3zoo.data.detection_set import DetectionSet
from mbv3zoo.evaluation.run import evaluate
from mbv3zoo.export.live import open_live
from mbv3zoo.images.letterbox import Letterbox
from mbv3zoo.models.freezing import batch_norms
from mbv3zoo.models.postprocess.decoding import Kept
from mbv3zoo.models.postprocess.thresholds import COCO_EVALUATION, PREDICTION, Thresholds
from mbv3zoo.prediction.engine import TorchEngine, as_engine, find
from mbv3zoo.runtimes.export_info import ExportInfo
from mbv3zoo.runtimes.exported_detector import ExportedDetector

LOW = Thresholds(score_thresh=0.01)


@pytest.fixture(scope='module')
def detector():
    torch.manual_seed(0)
    detector = create_detector('mbv3_yolo_small_050', num_classes=3, image_size=64)
    for conv in detector.head.convs:
        conv.bias.data.view(detector.head.num_anchors, -1)[:, 4] = -1
    return detector.eval()


@pytest.fixture(scope='module')
def images():
    return np.random.default_rng(0).integers(0, 256, (3, 3, 64, 64), np.uint8)


def same(found, expected):
    assert len(found) == len(expected) == 3
    for own, other in zip(found, expected, strict=True):
        assert isinstance(own, Kept) and len(own.scores) == len(other.scores) > 3
        np.testing.assert_allclose(np.asarray(own.scores), np.asarray(other.scores), rtol=1e-4)
        np.testing.assert_allclose(rows(own), rows(other), rtol=1e-4, atol=1e-3)


def rows(kept):
    """Labels and boxes, in an order that does not hang on the last digit of a score."""
    table = np.column_stack([np.asarray(kept.labels), np.asarray(kept.boxes), np.asarray(kept.scores)])
    return table[np.lexsort(table.round(1).T[:5])]


def test_a_torch_detector_and_an_exported_one_find_the_same(detector, images):
    exported = open_live(detector, 'eager')
    engine = as_engine(detector)
    assert isinstance(engine, TorchEngine) and as_engine(exported) is exported
    for thresholds in (LOW, COCO_EVALUATION, Thresholds(score_thresh=0.01, max_detections=4, classes=(2, 1))):
        same(exported.detect(images, thresholds), engine.detect(images, thresholds))
    for own in (engine, exported):
        assert own.thresholds == PREDICTION and own.info.image_size == (64, 64) and own.info.in_chans == 3
        assert own.info.class_names == detector.config.class_names


def test_results_are_ordinary_tensors_on_the_cpu(detector, images):
    for kept in as_engine(detector).detect(images, LOW):
        assert all(part.device.type == 'cpu' and not part.is_inference() for part in kept)
        assert [part.dtype for part in kept] == [torch.float32, torch.float32, torch.int64]


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16, torch.float64])
def test_other_types(detector, images, dtype):
    # Anchors that bfloat16 rounds by more than a pixel.
    anchors = [[[11.3, 12.7]] * 3, [[33.3, 57.1]] * 3, [[373.3, 326.7]] * 3]
    detector = create_detector('mbv3_yolo_small_050', num_classes=3, image_size=64, anchors=anchors).eval().to(dtype)
    # All logits 0: each cell holds its anchor.
    for conv in detector.head.convs:
        conv.weight.data.zero_(), conv.bias.data.zero_()
    (kept, *_) = as_engine(detector).detect(images, Thresholds(score_thresh=0.2, iou_thresh=1))
    sides = kept.boxes[:, 2:] - kept.boxes[:, :2]
    apart = (sides[:, None] - torch.tensor(anchors)[:, 0]).abs().amax(2)
    assert len(sides) == 3 * (64 + 16 + 4) and apart.amin(1).max() < 1e-3 and apart.amin(0).max() < 1e-3


def test_what_is_passed_on_is_what_differs():
    class Fake(nn.Module):
        config = SimpleNamespace(class_names=('a',))

        def forward(self, images):
            assert images.dtype == torch.float32 and not self.training and torch.is_inference_mode_enabled()
            return images

        def postprocess(self, logits, **options):
            self.options = options
            return []

    fake = Fake()
    assert TorchEngine(fake).detect(np.zeros((1, 3, 32, 32), np.uint8), COCO_EVALUATION) == []
    assert fake.options == COCO_EVALUATION.options() and fake.training


def together(detector, images, threads=4, repeats=6):
    """What threads find in one image each that use a detector at once, and what is found by one alone."""
    wanted = [TorchEngine(deepcopy(detector).eval()).detect(image[None], LOW) for image in images]
    with ThreadPoolExecutor(threads) as pool:
        found = [*pool.map(lambda image: as_engine(detector).detect(image[None], LOW), [*images] * repeats)]
    return found, wanted * repeats


def equal(found, wanted):
    return all(
        torch.equal(part, other)
        for own, others in zip(found, wanted, strict=True)
        for part, other in zip(own[0], others[0], strict=True)
    )


def test_threads_that_predict_with_a_detector_in_training_mode_change_nothing(detector, images):
    # BatchNorm gives other results in training mode, and changes its statistics.
    detector = deepcopy(detector).train()
    flags = [module.training for module in detector.modules()]
    state = {name: tensor.clone() for name, tensor in detector.state_dict().items()}
    assert equal(*together(detector, images))
    assert [module.training for module in detector.modules()] == flags
    assert all(torch.equal(tensor, state[name]) for name, tensor in detector.state_dict().items())


def test_a_training_step_beside_predictions_is_one_of_training_mode(detector, images):
    detector, pixels = deepcopy(detector).train(), torch.from_numpy(images) / 255
    wanted = deepcopy(detector)(pixels)
    began, ended, found = threading.Event(), threading.Event(), []

    def wait(module, args):
        # Only the step's: predictions have modules of their own.
        if module is detector.neck:
            began.set(), ended.wait(5)

    detector.neck.register_forward_pre_hook(wait)
    step = threading.Thread(target=lambda: found.extend(detector(pixels)))
    step.start()
    began.wait(5)
    as_engine(detector).detect(images, LOW)
    ended.set(), step.join()
    assert all(map(torch.equal, found, wanted))


@pytest.mark.parametrize('part', ['detector', 'backbone'])
def test_training_mode_that_another_thread_switches_to_begins_after_a_prediction(detector, images, part):
    detector = deepcopy(detector)
    wanted = as_engine(detector).detect(images, LOW)
    began, modes = threading.Event(), []

    def switch():
        began.wait(5)
        (detector if part == 'detector' else detector.backbone).train()

    def wait(module, args):
        if not began.is_set():
            began.set(), thread.join(0.05)
        modes.append(module.training)

    thread = threading.Thread(target=switch)
    thread.start()
    handles = [norm.register_forward_pre_hook(wait) for norm in batch_norms(detector)]
    found = as_engine(detector).detect(images, LOW)
    for handle in handles:
        handle.remove()
    thread.join(5)
    assert not any(modes) and len(modes) == len(handles) and detector.backbone.training
    assert all(torch.equal(*parts) for pair in zip(found, wanted, strict=True) for parts in zip(*pair, strict=True))


def test_threads_that_predict_while_another_switches_modes(detector, images):
    detector, stop = deepcopy(detector), threading.Event()
    state = {name: tensor.clone() for name, tensor in detector.state_dict().items()}

    def switch():
        while not stop.is_set():
            detector.train().eval()

    thread = threading.Thread(target=switch)
    thread.start()
    try:
        assert equal(*together(detector, images, repeats=2))
    finally:
        stop.set(), thread.join()
    assert all(torch.equal(tensor, state[name]) for name, tensor in detector.state_dict().items())


def test_a_hook_may_switch_modes(detector, images):
    detector = deepcopy(detector)
    detector.register_forward_hook(lambda *_: detector.train() and None)
    with ThreadPoolExecutor(3) as threads:
        assert len([*threads.map(lambda _: as_engine(detector).detect(images, LOW), range(6))]) == 6


class Rows:
    """A session whose graph has NMS inside: two images' rows of (image, box, score, label)."""

    runtime, metadata = 'rows', None

    def __call__(self, images):
        rows = [[i, 1, 2, 3, 4, 0.9 - 0.1 * n, n % 3] for i in range(len(images)) for n in range(5)]
        return [np.array(rows, np.float32)]


@pytest.fixture
def with_nms(detector):
    inside = {'score_thresh': 0.3, 'iou_thresh': 0.5, 'max_detections': 5, 'outputs': 'detections'}
    return ExportedDetector(Rows(), ExportInfo.of(detector.config, detector.strides, '1', batch_size=2, **inside))


def test_a_graph_with_nms_inside_gives_less_but_not_more(with_nms, images):
    assert with_nms.thresholds == Thresholds(0.3, 0.5, 5)
    assert [kept.labels.tolist() for kept in with_nms.detect(images[:2])] == [[0, 1, 2, 0, 1]] * 2
    for asked, labels in (
        (Thresholds(0.75, 0.5, 5), [0, 1]),
        (Thresholds(0.3, 0.5, 3), [0, 1, 2]),
        # Wanted classes are chosen before the best are counted.
        (Thresholds(0.3, 0.5, 2, classes=(1,)), [1, 1]),
        (Thresholds(0.3, 0.5, 5, classes=()), []),
    ):
        assert [kept.labels.tolist() for kept in with_nms.detect(images, asked)] == [labels] * 3
    for asked in (
        Thresholds(0.2, 0.5, 5), Thresholds(0.3, 0.6, 5), Thresholds(0.3, 0.5, 6),
        Thresholds(0.3, 0.5, 5, multi_label=True), COCO_EVALUATION,
    ):  # fmt: skip
        with pytest.raises(ValueError, match='suppresses with score_thresh 0.3, .* exported without nms'):
            with_nms.detect(images, asked)
    with pytest.raises(ValueError, match='keeps the classes apart; leave agnostic_nms out, or use a file exported'):
        with_nms.predict([np.zeros((32, 32, 3), np.uint8)] * 2, agnostic_nms=True)


@pytest.mark.parametrize('size', [100, (64, 96 + 1)])
def test_a_size_that_a_detector_does_not_take_is_told_before_an_image_is_read(detector, size, exported):
    nothing = DetectionSet([], detector.config.class_names)
    for use in (detector.predict, lambda _, **options: evaluate(detector, nothing, **options)):
        with pytest.raises(ValueError, match=r'^image_size is .*multiples of 32; give \((128, 128|64, 128)\)'):
            use('no.jpg', image_size=size)
    with pytest.raises(ValueError, match=r'exported graph takes \(96, 160\) only'):
        ExportedDetector.open(exported('torchscript')).predict('no.jpg', image_size=size)
    # What the advice says is taken.
    assert len(detector.predict(np.zeros((40, 40, 3), np.uint8), image_size=(64, 128))) == 0


@pytest.mark.parametrize('training', [False, True])
def test_a_segmenter_gives_its_maps_and_label_maps_of_the_original_size(images, training):
    segmenter = create_segmenter('mbv3_yolo_small_050', num_classes=3, image_size=64).train(training)
    engine = as_engine(segmenter)
    (logits,) = engine.run(images)
    assert logits.shape == (3, 3, 8, 8) and logits.dtype == np.float32
    with torch.no_grad():
        expected = segmenter.eval()(torch.from_numpy(images) / 255).argmax(1).numpy()
    whole = [(Letterbox.fit((64, 64), (64, 64)), 'a.jpg')] * 3
    found = [*find(engine, images, whole, PREDICTION)]
    assert [own.path for own in found] == ['a.jpg'] * 3
    assert (np.stack([own.labels for own in found]) == expected).mean() > 0.999
    (wide,) = find(engine, images[:1], [(Letterbox.fit((30, 120), (64, 64)), None)], PREDICTION)
    assert wide.labels.shape == (30, 120) and wide.path is None
