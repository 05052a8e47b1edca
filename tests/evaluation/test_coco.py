import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from labelled import NAMES, ap_figures, as_found, figures, found, random_pictures, record
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from mbv3zoo.data.detection_set import DetectionSet
from mbv3zoo.evaluation.coco import score, to_coco_results

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
    assert ap_figures(metrics) == pytest.approx([1] * 6)
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
    assert all(math.isnan(value) for value in ap_figures(metrics))
    assert all(math.isnan(value) for value in metrics.per_class.values())
    assert (metrics.images, metrics.objects) == (1, 0)
    plain = metrics.to_dict()
    assert plain['ap'] is None and plain['per_class'] == dict.fromkeys(NAMES) and plain['images'] == 1


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
        assert sum(math.isnan(value) for value in ap_figures(metrics)[3:]) == 2


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


@pytest.mark.parametrize(
    'ids', [(2**53, 2**53 + 1, 2**53 + 2), (2**70, 10**400, -(2**70)), (-1, 0, 1), ('000002', '', 'b'), (7, 7, 7)]
)
def test_ids_are_names_and_not_numbers_to_reckon_with(ids):
    boxes = [[[10, 10, 60, 60]], [[20, 20, 90, 90]], [[5, 5, 25, 45]]]
    records = [record(own, box) for own, box in zip(ids, boxes, strict=True)]
    detections = [as_found(known) for known in records]
    data = DetectionSet(records, NAMES, category_ids=(2**60, 2**60 + 1, -5))
    assert figures(data, detections).ap == pytest.approx(1)
    rows = to_coco_results(data, detections)
    assert [row['image_id'] for row in rows] == list(ids) and {row['category_id'] for row in rows} == {2**60}
    assert json.loads(json.dumps(rows)) == rows


def test_a_class_may_have_a_text_for_an_id():
    known = record('a', [[10, 10, 60, 60]], [1])
    data = DetectionSet([known], NAMES, category_ids=('x', 'y', 'z'))
    assert figures(data, [as_found(known)]).per_class['dog'] == pytest.approx(1)
    assert to_coco_results(data, [as_found(known)])[0]['category_id'] == 'y'


@pytest.mark.parametrize('area', [-5.0, 0.0, math.inf, -math.inf, math.nan, 1e30])
def test_an_object_with_an_area_that_none_has_counts(area):
    """Two objects, of which one is found; the area of the other decides nothing."""
    boxes = [[0, 0, 100, 100], [200, 0, 300, 100]]
    for areas in ([10000.0, area], [area, area]):
        data = DetectionSet([record(1, boxes, areas=areas)], NAMES)
        metrics = figures(data, [found(boxes[:1], [0.9])])
        # Recall up to 1/2: 51 of 101 points.
        assert metrics.ap == pytest.approx(51 / 101) and metrics.ap_large == pytest.approx(51 / 101)
        assert metrics.objects == 2


def test_a_list_for_each_picture_is_needed():
    with pytest.raises(ValueError):
        figures(DetectionSet([record(1), record(2)], NAMES), [found()])


def test_only_the_best_100_of_a_picture_count():
    known = record(1, [[10, 10, 60, 60]])
    wrong = [[100 + i % 50, 100, 190, 190] for i in range(100)]
    last = found([*wrong, known.boxes[0].tolist()], [0.9 - i * 1e-3 for i in range(101)])
    assert figures(DetectionSet([known], NAMES), [last]).ap == 0


# The reference implementation of COCO.


RECALLS = 'ar1', 'ar10', 'ar100', 'ar_small', 'ar_medium', 'ar_large'


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
    assert [*ap_figures(metrics), *(getattr(metrics, name) for name in RECALLS)] == pytest.approx(
        stats.tolist(), abs=1e-6
    )
    for i, row in enumerate(metrics.classes):
        own = precision[:, :, i]
        parts = [own[..., 0], own[0, :, 0], own[5, :, 0], own[..., 1], own[..., 2], own[..., 3]]
        assert row.name == 'abcdef'[i] and ap_figures(row) == pytest.approx(
            [p.mean() for p in parts], abs=1e-6, nan_ok=True
        )
        assert metrics.per_class[row.name] is row.ap
        labels = [known.labels[~known.iscrowd] for known in data.records]
        assert row.objects == sum(int((own == i).sum()) for own in labels)
    assert math.isnan(metrics.classes[5].ap) and metrics.classes[5].objects == 0
    np.testing.assert_allclose(curves.precision, precision[0, :, :, 0].T, atol=1e-6)
    np.testing.assert_allclose(curves.recall, np.linspace(0, 1, 101))
    np.testing.assert_allclose(curves.ap50, precision[0, :, :, 0].mean(0), atol=1e-6)
    np.testing.assert_allclose(curves.mean, np.nanmean(precision[0, :, :, 0], 1), atol=1e-6)
    assert curves.mean.mean() == pytest.approx(metrics.ap50, abs=1e-6) and curves.class_names == data.class_names


def test_more_classes_without_objects_change_no_figure():
    """Nor do they take memory: the evaluator's tables of 65,536 classes would be 12 gigabytes."""
    data, detections = random_pictures(0)
    few = score(data, detections)
    names = tuple(f'class {i}' for i in range(65536))
    places = torch.tensor([40, 7999, 65535])
    records = [replace(known, labels=places[known.labels]) for known in data.records]
    guesses = [replace(one, labels=places[one.labels], class_names=names) for one in detections]
    many = score(DetectionSet(records, names), guesses)
    assert [*ap_figures(many.metrics), many.metrics.ar100] == [*ap_figures(few.metrics), few.metrics.ar100]
    for label, place in enumerate(places.tolist()):
        own, other = many.metrics.classes[place], few.metrics.classes[label]
        assert own.name == names[place] and own.objects == other.objects
        np.testing.assert_array_equal(ap_figures(own), ap_figures(other))
        np.testing.assert_array_equal(many.curves.precision[place], few.curves.precision[label])
    assert len(many.metrics.classes) == 65536 and math.isnan(many.metrics.classes[41].ap)


def test_curves_of_nothing():
    for data, detections in ((DetectionSet([], NAMES), []), (DetectionSet([record(1)], NAMES), [found()])):
        metrics, _, curves = score(data, detections)
        assert curves.precision.shape == (3, 101) and np.isnan(curves.precision).all() and np.isnan(curves.mean).all()
        assert all(math.isnan(value) for value in ap_figures(metrics)) and metrics.objects == 0
    known = record(1, [[10, 10, 60, 60]])
    curves = score(DetectionSet([known], NAMES), [found()]).curves
    assert (curves.precision[0] == 0).all() and (curves.mean == 0).all() and np.isnan(curves.ap50[1:]).all()


def test_rows_of_a_coco_results_file():
    data = DetectionSet([record(7), record(3)], NAMES)
    rows = to_coco_results(data, [found(), found([[1, 2, 11, 22]], [0.5], [2])])
    assert rows == [{'image_id': 3, 'category_id': 3, 'bbox': [1, 2, 10, 20], 'score': 0.5}]
