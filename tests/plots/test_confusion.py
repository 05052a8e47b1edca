from dataclasses import replace

import numpy as np
import pytest
import torch
from labelled import NAMES, as_set, found, random_pictures, record
from PIL import Image

from mbv3zoo.plots import confusion
from mbv3zoo.plots.confusion import confusion_matrix, most_frequent, plot_confusion

LAST = len(NAMES)


def plain_overlap(box, other):
    width = min(box[2], other[2]) - max(box[0], other[0])
    height = min(box[3], other[3]) - max(box[1], other[1])
    return max(width, 0) * max(height, 0)


def area(box):
    return (box[2] - box[0]) * (box[3] - box[1])


def plain_matrix(data, detections, score_thresh, iou_thresh):
    matrix = np.zeros((LAST + 1, LAST + 1), dtype=int)
    for known, result in zip(data.records, detections, strict=True):
        rows = list(zip(known.boxes.tolist(), known.labels.tolist(), known.iscrowd.tolist(), strict=True))
        free = [(box, label) for box, label, crowd in rows if not crowd]
        crowds = [box for box, _, crowd in rows if crowd]
        guesses = list(zip(result.scores.tolist(), result.boxes.tolist(), result.labels.tolist(), strict=True))
        for score, box, guess in sorted(guesses, key=lambda row: -row[0]):
            if score < score_thresh:
                continue
            best, taken = -1, None
            for other in free:
                shared = plain_overlap(box, other[0])
                iou = shared / (area(box) + area(other[0]) - shared)
                if iou >= iou_thresh and iou > best:
                    best, taken = iou, other
            if taken is not None:
                matrix[taken[1], guess] += 1
                free.remove(taken)
            elif not any(plain_overlap(box, crowd) >= iou_thresh * area(box) for crowd in crowds):
                matrix[LAST, guess] += 1
        for _, label in free:
            matrix[label, LAST] += 1
    return matrix


@pytest.mark.parametrize('seed', [0, 1, 2])
@pytest.mark.parametrize('thresholds', [(0.25, 0.5), (0.0, 0.3), (0.6, 0.8)])
def test_equals_a_plain_implementation(seed, thresholds):
    data, detections = random_pictures(seed)
    matrix = confusion_matrix(data, detections, score_thresh=thresholds[0], iou_thresh=thresholds[1])
    expected = plain_matrix(data, detections, *thresholds)
    assert matrix.dtype == torch.int64 and matrix.tolist() == expected.tolist()
    # Every object stands in its row once; the case has right, mistaken, missed and false ones.
    objects = torch.cat([known.labels[~known.iscrowd] for known in data.records])
    assert matrix[:LAST].sum(1).tolist() == torch.bincount(objects, minlength=LAST).tolist()
    inner = expected[:LAST, :LAST]
    assert inner.trace() and inner.sum() > inner.trace() and expected[LAST].sum() and expected[:, LAST].sum()


BOX, HALF, FAR = [0, 0, 100, 100], [0, 0, 100, 50], [150, 100, 190, 140]


@pytest.mark.parametrize(
    ('known', 'result', 'expected'),
    [
        # right, mistaken, missed, false, unsure
        (record(1, [BOX], [1]), found([BOX], [0.9], [1]), {(1, 1): 1}),
        (record(1, [BOX], [1]), found([BOX], [0.9], [2]), {(1, 2): 1}),
        (record(1, [BOX], [1]), found(), {(1, LAST): 1}),
        (record(1), found([BOX], [0.9], [2]), {(LAST, 2): 1}),
        (record(1, [BOX], [1]), found([BOX], [0.24], [1]), {(1, LAST): 1}),
        # The thresholds themselves count.
        (record(1, [BOX], [1]), found([HALF], [0.25], [1]), {(1, 1): 1}),
        (record(1, [BOX], [1]), found([[0, 0, 100, 49]], [0.9], [1]), {(1, LAST): 1, (LAST, 1): 1}),
        # A second detection of an object is one too many, and the surer one is the first.
        (record(1, [BOX], [1]), found([BOX, HALF], [0.5, 0.9], [1, 2]), {(1, 2): 1, (LAST, 1): 1}),
        # It takes another object where one is free.
        (record(1, [BOX, HALF], [0, 1]), found([BOX, BOX], [0.9, 0.8], [2, 2]), {(0, 2): 1, (1, 2): 1}),
        # The best overlap decides, not the first object.
        (record(1, [HALF, BOX], [0, 1]), found([BOX], [0.9], [1]), {(1, 1): 1, (0, LAST): 1}),
        # Crowds are not missed, and what lies in them is not false, of whatever class.
        (record(1, [BOX], [1], [True]), found([HALF, FAR], [0.9, 0.9], [2, 0]), {(LAST, 0): 1}),
        (record(1, [BOX], [1], [True]), found(), {}),
        # Half of it must lie in the crowd.
        (record(1, [HALF], [1], [True]), found([BOX, [0, 0, 100, 101]], [0.9, 0.9], [2, 0]), {(LAST, 0): 1}),
        # An object in a crowd is an object.
        (record(1, [BOX, BOX], [1, 0], [True, False]), found([BOX], [0.9], [0]), {(0, 0): 1}),
        (record(1), found(), {}),
    ],
)
def test_by_hand(known, result, expected):
    matrix = confusion_matrix(as_set(known), [result])
    assert {tuple(cell): int(matrix[tuple(cell)]) for cell in matrix.nonzero().tolist()} == expected


def test_no_pictures():
    assert confusion_matrix(as_set(), []).tolist() == [[0] * (LAST + 1)] * (LAST + 1)


@pytest.mark.parametrize('seed', [0, 1])
def test_groups_count_their_classes_together(seed):
    data, detections = random_pictures(seed)
    whole = confusion_matrix(data, detections)
    groups = torch.arange(LAST) % 2
    places = [*groups.tolist(), 2]
    expected = torch.zeros(3, 3, dtype=torch.int64)
    for row in range(LAST + 1):
        for column in range(LAST + 1):
            expected[places[row], places[column]] += whole[row, column]
    assert torch.equal(confusion_matrix(data, detections, groups=groups), expected)


def test_of_many_classes_those_with_the_most_objects_are_shown():
    names = tuple(f'class {i}' for i in range(65536))
    labels = [65535, 7, 65535, 300, 7, 65535, 12]
    data = replace(as_set(record(1, [BOX] * len(labels), labels)), class_names=names)
    groups, shown = most_frequent(data, 3)
    assert shown == ('class 7', 'class 65535', '65534 other classes')
    assert groups[[0, 7, 12, 300, 65535]].tolist() == [2, 0, 2, 2, 1]
    matrix = confusion_matrix(data, [replace(found([BOX], [0.9], [0]), class_names=names)], groups=groups)
    assert matrix.sum(1).tolist() == [2, 3, 2, 0]
    groups, shown = most_frequent(as_set(), 3)
    assert groups.tolist() == [0, 1, 2] and shown == NAMES
    assert most_frequent(replace(as_set(), class_names=names))[0].max() == 999


@pytest.mark.parametrize('classes', [1, 20, 21, 130])
def test_plot(tmp_path, classes):
    names = tuple(f'${i} of many' for i in range(classes))
    matrix = torch.randint(0, 3, (classes + 1, classes + 1), generator=torch.Generator().manual_seed(0))
    matrix[0] = 0
    given = matrix.clone()
    plot_confusion(matrix, names, tmp_path / 'a.png')
    with Image.open(tmp_path / 'a.png') as image:
        assert image.format == 'PNG' and 400 < image.width < 4000
    assert torch.equal(matrix, given) and [path.name for path in tmp_path.iterdir()] == ['a.png']


def test_the_title_names_the_thresholds(tmp_path, monkeypatch):
    titles = []
    monkeypatch.setattr(confusion, 'save_figure', lambda figure, path: titles.append(figure.get_suptitle()))
    plot_confusion(torch.eye(2, dtype=torch.int64), ('cat',), tmp_path / 'a.png', 0.4, 0.6)
    assert titles == ['Confusion matrix, as shares of each row\ndetections with a score from 0.4, IoU from 0.6']
