import json
import math

import numpy as np
import pytest
import torch
from labelled import NAMES, SIZE, found, random_pictures, record
from PIL import Image
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from torch import nn

from mbv3zoo.config.detector import DetectorConfig
from mbv3zoo.create import create_detector
from mbv3zoo.data.load import load_dataset
from mbv3zoo.data.records import DetectionSet
from mbv3zoo.detections import Detections
from mbv3zoo.detector import Detector
from mbv3zoo.evaluation.run import (
    Metrics,
    as_predicted,
    check_classes,
    collect,
    evaluate,
    format_table,
    score,
    to_coco_results,
)
from mbv3zoo.export.live import open_live
from mbv3zoo.loading import load
from mbv3zoo.models.postprocess.decoding import Kept
from mbv3zoo.synth import SyntheticConfig, synthesize


def as_found(known, value=0.9):
    return Detections(known.boxes, torch.full((len(known.boxes),), value), known.labels, NAMES, SIZE)


def figures(data, detections):
    return score(data, detections).metrics


# A plain evaluator, written from the COCO rules.


def overlap(box, other, crowd):
    """IoU; for a crowd the share of the detection that lies in it."""
    width = min(box[2], other[2]) - max(box[0], other[0])
    height = min(box[3], other[3]) - max(box[1], other[1])
    if width <= 0 or height <= 0:
        return 0.0
    area, other_area = ((b[2] - b[0]) * (b[3] - b[1]) for b in (box, other))
    return width * height / (area if crowd else area + other_area - width * height)


def plain_ap(data, detections, label, iou_thresh, areas=(0, 1e10)):
    """Average precision of one class at one IoU: 101 recalls, the best precision at or beyond each."""
    rows, objects = [], 0
    for known, result in zip(data.records, detections, strict=True):
        truth = []
        for box, own, area, crowd in zip(
            known.boxes.tolist(), known.labels.tolist(), known.areas.tolist(), known.iscrowd.tolist(), strict=True
        ):
            if own == label:
                truth.append((crowd or not areas[0] <= area <= areas[1], box, crowd))
        objects += sum(not ignored for ignored, _, _ in truth)
        truth.sort(key=lambda t: t[0])
        rows_here = zip(result.scores.tolist(), result.boxes.tolist(), result.labels.tolist(), strict=True)
        own = [(value, box) for value, box, guessed in rows_here if guessed == label]
        taken = set()
        for value, box in sorted(own, key=lambda row: -row[0]):
            best, match = iou_thresh, None
            for i, (ignored, other, crowd) in enumerate(truth):
                if i in taken and not crowd:
                    continue
                # An object that counts is never left for one that does not.
                if match is not None and not truth[match][0] and ignored:
                    break
                if (value_here := overlap(box, other, crowd)) >= best:
                    best, match = value_here, i
            if match is not None:
                taken.add(match)
                if not truth[match][0]:
                    rows.append((value, True))
            elif areas[0] <= (box[2] - box[0]) * (box[3] - box[1]) <= areas[1]:
                rows.append((value, False))
    if not objects:
        return math.nan
    hits = np.cumsum([hit for _, hit in sorted(rows, key=lambda row: -row[0])])
    recall, precision = hits / objects, hits / np.arange(1, len(rows) + 1)
    return float(np.mean([precision[recall >= r].max(initial=0) for r in np.linspace(0, 1, 101)]))


def mean_ap(data, detections, ious, areas=(0, 1e10)):
    values = [plain_ap(data, detections, label, iou, areas) for label in range(len(NAMES)) for iou in ious]
    values = [value for value in values if not math.isnan(value)]
    return np.mean(values) if values else math.nan


IOUS = np.linspace(0.5, 0.95, 10)


@pytest.mark.parametrize('seed', [0, 1, 2])
@pytest.mark.parametrize('crowds', [False, True])
def test_equals_a_plain_evaluator(seed, crowds):
    data, detections = random_pictures(seed, crowds=crowds)
    metrics = figures(data, detections)
    ranges = {'ap_small': (0, 32**2), 'ap_medium': (32**2, 96**2), 'ap_large': (96**2, 1e10)}
    expected = {
        'ap': mean_ap(data, detections, IOUS),
        'ap50': mean_ap(data, detections, [0.5]),
        'ap75': mean_ap(data, detections, [0.75]),
    } | {name: mean_ap(data, detections, IOUS, areas) for name, areas in ranges.items()}
    assert 0.1 < expected['ap'] < 0.9
    for name, value in expected.items():
        assert getattr(metrics, name) == pytest.approx(value, abs=1e-4, nan_ok=True), name
    for label, name in enumerate(NAMES):
        values = [plain_ap(data, detections, label, iou) for iou in IOUS]
        assert metrics.per_class[name] == pytest.approx(np.mean(values), abs=1e-4, nan_ok=True)
    assert math.isnan(metrics.per_class['owl'])
    assert metrics.images == 12
    assert metrics.objects == sum(int((~known.iscrowd).sum()) for known in data.records)


def test_perfect_detections(capfd):
    records = [record(9, [[10, 10, 30, 30], [50, 50, 110, 110]], [0, 1]), record(2, [[0, 0, 150, 150]], [2]), record(5)]
    metrics = figures(DetectionSet(records, NAMES), [as_found(known) for known in records])
    assert metrics[:6] == pytest.approx([1] * 6)
    assert metrics.per_class == pytest.approx(dict.fromkeys(NAMES, 1))
    assert (metrics.images, metrics.objects) == (3, 3)
    assert capfd.readouterr().out == ''


def test_no_detections():
    records = [record(1, [[10, 10, 30, 30]]), record(2)]
    metrics = figures(DetectionSet(records, NAMES), [found(), found()])
    assert metrics.ap == metrics.ap50 == metrics.ap_small == 0
    assert math.isnan(metrics.ap_large) and metrics.per_class['cat'] == 0 and math.isnan(metrics.per_class['dog'])


@pytest.mark.parametrize('detections', [found(), found([[1, 1, 9, 9]], [0.5])])
def test_nothing_to_find(detections):
    metrics = figures(DetectionSet([record(1)], NAMES), [detections])
    assert all(math.isnan(value) for value in metrics[:6])
    assert all(math.isnan(value) for value in metrics.per_class.values())
    assert (metrics.images, metrics.objects) == (1, 0)
    plain = metrics.to_dict()
    assert plain['ap'] is None and plain['per_class'] == dict.fromkeys(NAMES) and plain['images'] == 1


def test_to_dict_is_plain():
    records = [record(1, [[10, 10, 30, 30]])]
    plain = figures(DetectionSet(records, NAMES), [as_found(records[0])]).to_dict()
    assert plain['ap'] == pytest.approx(1) and plain['ap_large'] is None
    assert plain['per_class']['cat'] == pytest.approx(1) and plain['per_class']['dog'] is None
    assert {type(value) for value in plain.values()} == {float, int, dict, list, type(None)}
    assert [row['name'] for row in plain['classes']] == list(NAMES)
    assert plain['classes'][0]['objects'] == 1 and plain['classes'][1]['ap'] is None
    assert json.loads(json.dumps(plain, allow_nan=False)) == plain


def test_metrics_are_read_again_from_plain_values():
    metrics = figures(*random_pictures(0))
    # A class without objects has no figures.
    assert math.isnan(metrics.per_class['owl'])
    plain = json.loads(json.dumps(metrics.to_dict()))
    again = Metrics.from_dict(plain)
    assert again.to_dict() == plain and again.ap == metrics.ap
    assert again.classes[0] == metrics.classes[0] and math.isnan(again.per_class['owl'])


def test_a_case_by_hand():
    """Two objects; the best detection hits one exactly, the second misses, the third hits at an IoU of 0.6."""
    data = DetectionSet([record(1, [[0, 0, 100, 100], [200, 0, 300, 100]])], NAMES)
    metrics = figures(
        data, [found([[0, 0, 100, 100], [100, 120, 150, 160], [200, 0, 300, 60]], [0.9, 0.8, 0.7])]
    )  # fmt: skip
    # Precision is 1 up to a recall of 1/2 (51 of 101 points) and 2/3 beyond; over an IoU of 0.6 the second is lost.
    both, one = (51 + 50 * 2 / 3) / 101, 51 / 101
    assert metrics.ap50 == pytest.approx(both, abs=1e-6)
    assert metrics.ap75 == pytest.approx(one, abs=1e-6)
    assert metrics.ap == pytest.approx((3 * both + 7 * one) / 10, abs=1e-6)
    assert metrics.per_class['cat'] == pytest.approx(metrics.ap, abs=1e-6)


def test_a_mistaken_class_harms_both():
    data = DetectionSet([record(1, [[0, 0, 50, 50], [60, 60, 90, 90]], [0, 1])], NAMES)
    metrics = figures(data, [found([[0, 0, 50, 50], [60, 60, 90, 90]], [0.9, 0.8], [1, 1])])
    assert metrics.per_class['cat'] == 0 and metrics.per_class['dog'] == pytest.approx(0.5)
    assert metrics.ap == pytest.approx(0.25)


def test_crowds_count_neither_way():
    crowd = record(1, [[0, 0, 100, 100], [150, 150, 190, 190]], crowd=[True, False])
    data = DetectionSet([crowd], NAMES)
    # Three detections inside the crowd, surer than the true one.
    inside = [[0, 0, 30, 30], [40, 40, 80, 80], [0, 0, 100, 100]]
    metrics = figures(data, [found([*inside, [150, 150, 190, 190]], [0.9, 0.95, 0.99, 0.3])])
    assert metrics.ap == pytest.approx(1) and metrics.objects == 1
    plain = figures(DetectionSet([record(1, crowd.boxes.tolist())], NAMES), [found([*inside], [0.9, 0.95, 0.99])])
    assert plain.ap < 0.6


def test_the_annotations_own_area_decides_the_size():
    box = [0, 0, 100, 100]
    for area, name in ((10.0, 'ap_small'), (5000.0, 'ap_medium'), (10000.0, 'ap_large')):
        known = record(1, [box], areas=[area])
        metrics = figures(DetectionSet([known], NAMES), [as_found(known)])
        assert getattr(metrics, name) == pytest.approx(1)
        assert sum(math.isnan(value) for value in metrics[3:6]) == 2


def test_ids_may_be_sparse_and_in_any_order():
    boxes = [[[10, 10, 60, 60]], [[20, 20, 90, 90]], [[5, 5, 25, 45]]]
    records = [record(i, box) for i, box in zip((1000003, 5, 42), boxes, strict=True)]
    detections = [as_found(known) for known in records]
    assert figures(DetectionSet(records, NAMES), detections).ap == pytest.approx(1)
    # Each list of detections belongs to its own picture.
    assert figures(DetectionSet(records, NAMES), detections[1:] + detections[:1]).ap < 0.4


def test_an_id_of_0_is_an_id():
    known = record(0, [[10, 10, 60, 60]])
    assert figures(DetectionSet([known], NAMES), [as_found(known)]).ap == pytest.approx(1)


def test_a_list_for_each_picture_is_needed():
    with pytest.raises(ValueError):
        figures(DetectionSet([record(1), record(2)], NAMES), [found()])


def test_only_the_best_100_of_a_picture_count():
    known = record(1, [[10, 10, 60, 60]])
    wrong = [[100 + i % 50, 100, 190, 190] for i in range(100)]
    last = found([*wrong, known.boxes[0].tolist()], [0.9 - i * 1e-3 for i in range(101)])
    assert figures(DetectionSet([known], NAMES), [last]).ap == 0


# The reference implementation of COCO.


def hard_set(seed):
    """Crowds, areas that are not the box's, tied scores, a class that has no object, over 100 detections a class."""
    rng = np.random.default_rng(seed)
    records, detections = [], []
    for i in range(120):
        count = int(rng.integers(0, 8))
        corner, side = rng.uniform(0, 300, (count, 2)), np.exp(rng.uniform(np.log(6), np.log(250), (count, 2)))
        boxes, labels = np.concatenate([corner, corner + side], 1), rng.integers(0, 5, count)
        areas, crowd = side.prod(1) * rng.uniform(0.3, 1, count), rng.random(count) < 0.15
        records.append(record(1000 - 3 * i, boxes, labels, crowd, areas.astype(np.float32), size=(600, 600)))
        many = 150 if i % 20 == 0 else 4
        hits = np.repeat(boxes, many, 0)
        hits = hits + rng.normal(0, 1, hits.shape) * rng.choice([1, 4, 15], (len(hits), 1))
        wrong = rng.uniform(0, 500, (6, 2))
        every = np.concatenate([hits, np.concatenate([wrong, wrong + rng.uniform(5, 90, (6, 2))], 1)])
        every[:, 2:] = np.maximum(every[:, 2:], every[:, :2] + 1)
        guessed = np.concatenate([np.repeat(labels, many), rng.integers(0, 6, 6)])
        guessed = np.where(rng.random(len(every)) < 0.9, guessed, rng.integers(0, 6, len(every)))
        order, scores = rng.permutation(len(every)), np.round(rng.random(len(every)) ** 2, 1)
        detections.append(found(every[order], scores[order], guessed[order], tuple('abcdef')))
    return DetectionSet(records, tuple('abcdef')), detections


def reference(data, detections):
    """pycocotools on the same, written down anew: the 12 figures, and precision [IoU, recall, class, area]."""
    truth, annotations, rows = COCO(), [], []
    for known, result in zip(data.records, detections, strict=True):
        for j, (x1, y1, x2, y2) in enumerate(known.boxes.tolist()):
            annotations.append({
                'id': len(annotations) + 1, 'image_id': known.image_id, 'category_id': int(known.labels[j]),
                'bbox': [x1, y1, x2 - x1, y2 - y1], 'area': float(known.areas[j]), 'iscrowd': int(known.iscrowd[j]),
            })  # fmt: skip
        for j, (x1, y1, x2, y2) in enumerate(result.boxes.tolist()):
            row = {'category_id': int(result.labels[j]), 'bbox': [x1, y1, x2 - x1, y2 - y1]}
            rows.append(row | {'image_id': known.image_id, 'score': float(result.scores[j])})
    truth.dataset = {
        'images': [{'id': known.image_id} for known in data.records],
        'annotations': annotations,
        'categories': [{'id': i} for i in range(len(data.class_names))],
    }
    truth.createIndex()
    run = COCOeval(truth, truth.loadRes(rows), 'bbox')
    run.evaluate()
    run.accumulate()
    run.summarize()
    return run.stats, np.where(run.eval['precision'] < 0, np.nan, run.eval['precision'])[..., -1]


def test_equals_pycocotools():
    data, detections = hard_set(0)
    counts = [int(np.bincount(result.labels, minlength=1).max()) for result in detections]
    assert max(counts) > 150 and sum(int(known.iscrowd.sum()) for known in data.records) > 20
    metrics, kept, curves = score(data, detections)
    stats, precision = reference(data, detections)
    assert kept is detections and 0.05 < stats[0] < 0.9
    assert [*metrics[:6], *metrics[9:15]] == pytest.approx(stats.tolist(), abs=1e-6)
    for i, row in enumerate(metrics.classes):
        own = precision[:, :, i]
        parts = [own[..., 0], own[0, :, 0], own[5, :, 0], own[..., 1], own[..., 2], own[..., 3]]
        assert row.name == 'abcdef'[i] and row[1:7] == pytest.approx([p.mean() for p in parts], abs=1e-6, nan_ok=True)
        assert metrics.per_class[row.name] is row.ap
        labels = [known.labels[~known.iscrowd] for known in data.records]
        assert row.objects == sum(int((own == i).sum()) for own in labels)
    assert math.isnan(metrics.classes[5].ap) and metrics.classes[5].objects == 0
    np.testing.assert_allclose(curves.precision, precision[0, :, :, 0].T, atol=1e-6)
    np.testing.assert_allclose(curves.recall, np.linspace(0, 1, 101))
    np.testing.assert_allclose(curves.ap50, precision[0, :, :, 0].mean(0), atol=1e-6)
    np.testing.assert_allclose(curves.mean, np.nanmean(precision[0, :, :, 0], 1), atol=1e-6)
    assert curves.mean.mean() == pytest.approx(metrics.ap50, abs=1e-6) and curves.class_names == data.class_names


def test_curves_of_nothing():
    for data, detections in ((DetectionSet([], NAMES), []), (DetectionSet([record(1)], NAMES), [found()])):
        metrics, _, curves = score(data, detections)
        assert curves.precision.shape == (3, 101) and np.isnan(curves.precision).all() and np.isnan(curves.mean).all()
        assert all(math.isnan(value) for value in metrics[:6]) and metrics.objects == 0
    known = record(1, [[10, 10, 60, 60]])
    curves = score(DetectionSet([known], NAMES), [found()]).curves
    assert (curves.precision[0] == 0).all() and (curves.mean == 0).all() and np.isnan(curves.ap50[1:]).all()


def test_table():
    records = [record(1, [[10, 10, 30, 30], [50, 50, 110, 110], [0, 0, 9, 9]], [0, 1, 0], crowd=[False, False, True])]
    lines = format_table(figures(DetectionSet(records, NAMES), [as_found(records[0])[:2]])).splitlines()
    assert lines == [
        '1 pictures, 2 objects',
        'class     AP   AP50   AP75  small  medium  large  objects',
        'all    1.000  1.000  1.000  1.000   1.000      -        2',
        'cat    1.000  1.000  1.000  1.000       -      -        1',
        'dog    1.000  1.000  1.000      -   1.000      -        1',
        'owl        -      -      -      -       -      -        0',
    ]
    # Figures of a card, without classes.
    assert len(format_table(Metrics(*[0.5] * 6, {}, 5, 9)).splitlines()) == 3


def test_rows_of_a_coco_results_file():
    data = DetectionSet([record(7), record(3)], NAMES)
    rows = to_coco_results(data, [found(), found([[1, 2, 11, 22]], [0.5], [2])])
    assert rows == [{'image_id': 3, 'category_id': 3, 'bbox': [1, 2, 10, 20], 'score': 0.5}]


def test_as_predicted():
    box, near, apart, other = ([0, 0, 100, height] for height in (100, 60, 40, 59))
    result = found([box, box, near, apart, other, box], [0.9, 0.8, 0.7, 0.6, 0.5, 0.2], [0, 1, 0, 0, 1, 2])
    # The second guess for a box, what overlaps with its own class, and what is not sure, go.
    kept = as_predicted(result)
    assert [round(value, 2) for value in kept.scores.tolist()] == [0.9, 0.6, 0.5] and kept.labels.tolist() == [0, 0, 1]
    assert len(as_predicted(result, 0.95)) == 0 and len(as_predicted(found())) == 0
    assert as_predicted(kept).scores.tolist() == kept.scores.tolist()


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


def test_a_file_with_nms_inside_is_refused(shipped, scenes, tmp_path):
    path = shipped.export(tmp_path / 'model.torchscript', nms=True)
    with pytest.raises(
        ValueError, match='suppresses with score_thresh 0.25, .* exported without nms, as evaluation needs'
    ):
        evaluate(load(path), scenes)


@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float16, torch.float64])
def test_other_types_of_weights(scenes, expected, dtype):
    detector = Detector.from_pretrained('mbv3_yolo_small.synth').to(dtype)
    check_metrics(evaluate(detector, scenes).metrics, expected, 0.03)
