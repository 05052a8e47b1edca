import numpy as np
import pytest
import torch
from coloured_scenes import Colours, scene
from labelled import NAMES, record
from PIL import Image
from torch import nn

import mbv3zoo
from mbv3zoo.config.detector import DetectorConfig
from mbv3zoo.create import create_detector
from mbv3zoo.data.detection_set import DetectionSet
from mbv3zoo.data.load import load_dataset
from mbv3zoo.detector import Detector
from mbv3zoo.evaluation.coco import score
from mbv3zoo.evaluation.run import check_classes, collect
from mbv3zoo.evaluation.run import run_evaluation as evaluate
from mbv3zoo.export.live import open_live
from mbv3zoo.images.tiles import Slicing
from mbv3zoo.loading import load
from mbv3zoo.models.postprocess.decoding import Kept
from mbv3zoo.synth import SyntheticConfig, synthesize
from mbv3zoo.utils.processes import Processes

COLOURS = torch.tensor([[255, 0, 0], [0, 255, 0], [0, 0, 255]])


class ColourDetector(nn.Module):
    """Finds the one patch of each class's colour: stands for a network that makes no mistakes."""

    def __init__(self, in_chans=3):
        super().__init__()
        self.config = DetectorConfig(backbone='none', class_names=NAMES, image_size=(64, 96), in_chans=in_chans)
        self.register_buffer('anchors', torch.zeros(3, 3, 2))
        self.thresholds, self.shapes, self.modes = [], [], []

    def forward(self, images):
        assert images.dtype == torch.float32 and images.min() >= 0 and images.max() <= 1
        self.shapes.append(tuple(images.shape))
        self.modes.append(self.training)
        return [images]

    def postprocess(self, logits, **thresholds):
        self.thresholds.append(thresholds)
        kept = []
        for image in logits[0]:
            boxes, labels = [], []
            for label, colour in enumerate(COLOURS):
                near = ((image * 255 - colour[:, None, None]).abs() < 90).all(0)
                rows, columns = near.nonzero(as_tuple=True)
                if len(rows):
                    boxes.append([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1])
                    labels.append(label)
            scores = torch.full((len(boxes),), 0.9)
            kept.append(Kept(torch.tensor(boxes).float().reshape(-1, 4), scores, torch.tensor(labels).long()))
        return kept


@pytest.fixture(scope='module')
def pictures(tmp_path_factory):
    """Pictures of all shapes with a patch of a class's colour each, one with none."""
    folder, rng, records = tmp_path_factory.mktemp('pictures'), np.random.default_rng(0), []
    for i, (height, width) in enumerate([(64, 96), (300, 120), (90, 400), (200, 200), (50, 70)]):
        pixels = np.full((height, width, 3), 128, dtype=np.uint8)
        side = min(height, width) // 2
        x, y, label = int(rng.integers(width - side)), int(rng.integers(height - side)), i % 3
        boxes, labels = ([[x, y, x + side, y + side]], [label]) if i != 4 else ([], [])
        if boxes:
            pixels[y : y + side, x : x + side] = COLOURS[label].numpy()
        Image.fromarray(pixels).save(folder / f'{i}.png')
        records.append(record(i + 7, boxes, labels, path=folder / f'{i}.png', size=(height, width)))
    return DetectionSet(records, NAMES)


@pytest.mark.parametrize('image_size', [None, (128, 64), (192, 192)])
@pytest.mark.parametrize('batch_size', [1, 2, 32])
def test_letterboxed_boxes_come_back_to_the_original_pixels(pictures, image_size, batch_size):
    network, seen = ColourDetector(), []
    results = collect(network, pictures, batch_size, image_size=image_size, progress=seen.append)
    for known, result in zip(pictures.records, results, strict=True):
        assert result.path == str(known.path) and result.image_size == known.size and result.class_names == NAMES
        assert torch.equal(result.labels, known.labels)
        # To a pixel of the letterbox, which is so many of the picture.
        slack = 1.01 * max(
            1, max(o / t for o, t in zip(known.size, image_size or network.config.image_size, strict=True))
        )
        torch.testing.assert_close(result.boxes, known.boxes, atol=slack, rtol=0)
    assert sum(seen) == 5 and len(seen) == -(-5 // batch_size)
    assert {shape[1:] for shape in network.shapes} == {(3, *(image_size or (64, 96)))}


def test_evaluate_scores_what_collect_finds(pictures):
    network, seen = ColourDetector(), []
    metrics, detections, curves = evaluate(network, pictures, batch_size=2, progress=seen.append)
    assert metrics.ap50 == pytest.approx(1) and metrics.ap > 0.8
    assert [found.path for found in detections] == [str(known.path) for known in pictures.records]
    assert curves.ap50 == pytest.approx(1)
    assert (metrics.images, metrics.objects) == (5, 4) and sum(seen) == 5
    assert evaluate(network, pictures, workers=1).metrics.ap == metrics.ap
    # The thresholds of COCO figures.
    assert network.thresholds[0] == {
        'score_thresh': 0.001, 'iou_thresh': 0.6, 'max_detections': 100, 'multi_label': True,
    }  # fmt: skip


@pytest.mark.parametrize('workers', [0, 1])
def test_parts_of_a_set_make_the_whole(pictures, workers):
    whole = collect(ColourDetector(), pictures)
    parts = {}
    for start in range(2):
        indices, seen = range(start, len(pictures), 2), []
        network = ColourDetector()
        results = collect(network, pictures, 2, workers, progress=seen.append, indices=indices)
        parts |= dict(zip(indices, results, strict=True))
        assert sum(seen) == len(indices) == sum(shape[0] for shape in network.shapes)
    assert len(parts) == 5
    for i, result in enumerate(whole):
        assert torch.equal(parts[i].boxes, result.boxes) and parts[i].path == result.path
    assert score(pictures, [parts[i] for i in range(5)]).metrics == score(pictures, whole).metrics
    assert collect(ColourDetector(), pictures, indices=[]) == []


def test_what_was_found_may_be_changed(pictures):
    result = collect(ColourDetector(), pictures)[0]
    result.boxes += 1
    assert not any(part.is_inference() for part in (result.boxes, result.scores, result.labels))


@pytest.mark.parametrize('training', [True, False])
def test_the_mode_of_the_network_comes_back(pictures, training):
    network = ColourDetector().train(training)
    collect(network, pictures, 2)
    assert network.modes == [False] * 3 and network.training is training


def test_grey_pictures_for_a_grey_detector(pictures):
    network = ColourDetector(in_chans=1)
    network.postprocess = lambda logits, **_: (
        [Kept(torch.zeros(0, 4), torch.zeros(0), torch.zeros(0).long())] * len(logits[0])
    )
    assert evaluate(network, pictures).metrics.ap == 0
    assert {shape[1] for shape in network.shapes} == {1}


def test_other_classes_are_refused(pictures):
    for names, expected in (
        (('cat', 'dog'), 'the detector has 3 classes, the data set 2'),
        (('cat', 'dog', 'emu'), r"unknown to the detector: \['emu'\]"),
        (('dog', 'cat', 'owl'), 'the order differs'),
        ((*NAMES, 'emu'), r"data set 4; unknown to the detector: \['emu'\]"),
    ):
        other = DetectionSet(pictures.records, names)
        with pytest.raises(ValueError, match=expected):
            evaluate(ColourDetector(), other)
        with pytest.raises(ValueError, match=expected):
            check_classes(ColourDetector(), other)
    check_classes(ColourDetector(), pictures)


def test_a_real_detector_can_be_scored(pictures):
    detector = create_detector('mbv3_yolo_small_050', class_names=NAMES, image_size=64)
    metrics = evaluate(detector, pictures, batch_size=3).metrics
    assert 0 <= metrics.ap < 0.5 and metrics.images == 5
    assert detector.training


def test_large_images_are_scored_in_tiles(tmp_path):
    pytest.importorskip('supervision')
    records = []
    for number in range(2):
        corners = [(16 * (i % 16) + 3, 20 * (i // 16) + 4) for i in range(128)]
        rows = [(i % 2, 99, [x, y, x + 6, y + 5]) for i, (x, y) in enumerate(corners)]
        path = tmp_path / f'{number}.png'
        Image.fromarray(scene((160, 256), *rows)).save(path)
        records.append(record(number, [row[2] for row in rows], [row[0] for row in rows], path=path, size=(160, 256)))
    data = DetectionSet(records, Colours.info.class_names)
    told, slicing = [], Slicing((64, 64), 0.2, False)
    tiles = evaluate(Colours(), data, slicing=slicing, progress=told.append).metrics
    # More than the 100 objects that COCO counts of an image.
    assert tiles.ap == pytest.approx(1) and tiles.ar100 == pytest.approx(1) and told == [1, 1]
    assert mbv3zoo.evaluate(Colours(), data).ap < 0.5
    assert mbv3zoo.evaluate(Colours(), data, slice=64, overlap=0.2, slice_only=True).ap == tiles.ap
    # Shared out among processes: the second one's share, with what the first one sends.
    first = evaluate(Colours(), data, slicing=slicing).detections[0]
    group = Processes(1, 2, lambda items: [(0, first), *items])
    assert evaluate(Colours(), data, slicing=slicing, group=group).metrics.ap == tiles.ap
    (tmp_path / '0.png').write_bytes((tmp_path / '0.png').read_bytes()[:100])
    with pytest.warns(UserWarning, match=r'0\.png.*taken as an empty picture'):
        assert 0.4 < evaluate(Colours(), data, slicing=slicing).metrics.ap < 0.6
    (tmp_path / '0.png').unlink()
    with pytest.raises(FileNotFoundError, match='put the data set back'):
        evaluate(Colours(), data, slicing=slicing)


def test_images_of_more_pixels_than_asked_for_are_not_evaluated(tmp_path):
    for split in ('val', 'other'):
        (tmp_path / split).mkdir()
        for name, size in {'a.png': (64, 48), 'b.png': (640, 480)}.items():
            Image.new('RGB', size).save(tmp_path / split / name)
    (tmp_path / 'data.yaml').write_text(f'names: {list(NAMES)}\nval: val\n')
    detector = create_detector('mbv3_yolo_small_050', class_names=NAMES, image_size=64)
    assert mbv3zoo.evaluate(detector, tmp_path).images == 2
    assert mbv3zoo.evaluate(detector, tmp_path, max_pixels=5000).images == 1


# Exported files and other types of weights.


@pytest.fixture(scope='module')
def shipped():
    return Detector.from_pretrained('mbv3_yolo_small.synth')


@pytest.fixture(scope='module')
def scenes(tmp_path_factory):
    folder = tmp_path_factory.mktemp('synth') / 'data'
    synthesize(folder, SyntheticConfig(train=1, val=6, image_size=320, seed=3))
    return load_dataset(folder, 'val')


@pytest.fixture(scope='module')
def expected(shipped, scenes):
    metrics = evaluate(shipped, scenes).metrics
    assert metrics.ap50 > 0.5
    return metrics


def check_metrics(metrics, expected, within):
    assert metrics.ap == pytest.approx(expected.ap, abs=within) and metrics.ap50 == pytest.approx(
        expected.ap50, abs=within
    )
    assert (metrics.images, metrics.objects) == (expected.images, expected.objects)


@pytest.mark.parametrize(
    'options',
    [{}, *(pytest.param(options, marks=pytest.mark.slow) for options in ({'batch_size': 4}, {'dynamic': True}))],
)
def test_an_exported_file_scores_what_its_detector_does(shipped, scenes, expected, tmp_path, options):
    for package in ('onnxruntime', 'onnxscript'):
        pytest.importorskip(package)
    file = load(shipped.export(tmp_path / 'model.onnx', **options))
    evaluation = evaluate(file, scenes, batch_size=5)
    check_metrics(evaluation.metrics, expected, 1e-4)
    # What plots and other processes get are tensors.
    assert all(isinstance(found.boxes, torch.Tensor) for found in evaluation.detections)
    if options:
        return
    with pytest.raises(
        ValueError, match='image_size is .*, but the exported graph takes .* only; leave image_size out'
    ):
        evaluate(file, scenes, image_size=(192, 192))
    with pytest.raises(ValueError, match='the detector has 16 classes, the data set 3'):
        evaluate(file, DetectionSet([record(1)], NAMES))


def test_a_detector_in_a_runtime_can_be_scored(shipped, scenes, expected):
    check_metrics(evaluate(open_live(shipped, 'eager'), scenes).metrics, expected, 1e-4)


def test_a_file_with_nms_inside_is_scored_by_what_it_keeps_and_a_warning_says_so(
    shipped, scenes, expected, tmp_path, caplog
):
    path = shipped.export(tmp_path / 'model.torchscript', nms=True)
    metrics = evaluate(load(path), scenes).metrics
    assert 0 < metrics.ap < expected.ap
    assert 'NMS is inside the graph, with score_thresh 0.25 and iou_thresh 0.45: the figures are of' in caplog.text


@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float16, torch.float64])
def test_other_types_of_weights(scenes, expected, dtype):
    detector = Detector.from_pretrained('mbv3_yolo_small.synth').to(dtype)
    check_metrics(evaluate(detector, scenes).metrics, expected, 0.03)


def test_public_evaluate_takes_a_path_or_a_set_and_gives_the_metrics(shipped, scenes, expected):
    folder = scenes.records[0].path.parents[2]
    for data in (scenes, folder, str(folder)):
        assert mbv3zoo.evaluate(shipped, data).to_dict() == expected.to_dict()
    # Another split, and a side for both.
    train = mbv3zoo.evaluate(shipped, folder / 'data.yaml', split='train', image_size=192, batch_size=3, workers=1)
    by_hand = evaluate(shipped, load_dataset(folder, 'train'), image_size=(192, 192)).metrics
    assert train.to_dict() == by_hand.to_dict() and train.images == 1
    with pytest.raises(ValueError, match="no split 'test'"):
        mbv3zoo.evaluate(shipped, folder, split='test')
