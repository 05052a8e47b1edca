import numpy as np
import pytest
import torch
from three_detections import BOXES, NAMES, three

from mbv3zoo.detections import Detections


@pytest.fixture(params=['tensors', 'arrays'])
def found(request):
    return three(path='a.jpg') if request.param == 'tensors' else three(path='a.jpg').numpy()


def test_types_and_length():
    dets = three(
        boxes=torch.tensor(BOXES, dtype=torch.float64, requires_grad=True),
        labels=torch.tensor([0, 2, 1], dtype=torch.int32),
        class_names=list(NAMES),
    )
    assert len(dets) == 3 and dets.names == ['cat', 'bird', 'dog'] and dets.class_names == NAMES
    assert dets.boxes.dtype == torch.float32 and not dets.boxes.requires_grad
    assert dets.scores.dtype == torch.float32 and dets.labels.dtype == torch.int64
    assert dets.path is None and dets.error is None


@pytest.mark.parametrize(
    'changes',
    [
        {'boxes': torch.zeros(2, 4)},
        {'boxes': torch.zeros(3, 5)},
        {'boxes': torch.zeros(12)},
        {'scores': torch.zeros(3, 1)},
        {'scores': torch.tensor(0.5)},
        {'labels': torch.zeros(2)},
        {'labels': torch.tensor([0, 1, 3])},
        {'labels': torch.tensor([0, 1, -1])},
        {'class_names': ()},
    ],
)
def test_disagreeing_parts_are_refused(changes):
    with pytest.raises(ValueError, match='expected'):
        three(**changes)


@pytest.mark.parametrize(
    ('index', 'rows'),
    [
        (slice(1, None), [1, 2]),
        (slice(0, 0), []),
        (slice(None, None, -1), [2, 1, 0]),
        (range(2), [0, 1]),
        (torch.tensor([True, False, True]), [0, 2]),
        (torch.zeros(3, dtype=torch.bool), []),
        (np.array([False, True, False]), [1]),
        ([True, False, False], [0]),
        ([2, 0], [2, 0]),
        ([], []),
        (torch.tensor([1, 1]), [1, 1]),
        (1, [1]),
        (-1, [2]),
    ],
)
def test_indexing(index, rows):
    dets = three(path='a.jpg')
    part = dets[index]
    assert isinstance(part, Detections) and len(part) == len(rows)
    assert part.boxes.tolist() == [dets.boxes[row].tolist() for row in rows]
    assert part.scores.tolist() == [dets.scores[row].item() for row in rows]
    assert part.labels.tolist() == [dets.labels[row].item() for row in rows]
    assert (part.path, part.image_size, part.class_names) == ('a.jpg', (100, 120), NAMES)


def test_index_outside_ends_iteration():
    with pytest.raises(IndexError):
        three()[3]
    assert [one.labels.tolist() for one in three()] == [[0], [2], [1]]


def test_parts_keep_the_kind(found):
    kind = type(found.boxes)
    for part in (found[0], found[::-1], found[found.scores > 0.3], found.filter('dog'), next(iter(found))):
        assert {type(part.boxes), type(part.scores), type(part.labels)} == {kind}


def test_rows(found):
    assert found.rows()[1] == ([5.0, 5.0, 30.0, 25.0], 0.75, 2, 'bird')
    assert [row.name for row in found.rows()] == ['cat', 'bird', 'dog'] and found[:0].rows() == []


@pytest.mark.parametrize(
    ('options', 'rows'),
    [
        ({}, [0, 1, 2]),
        ({'classes': 'cat'}, [0]),
        ({'classes': 2}, [1]),
        ({'classes': ['dog', 0]}, [0, 2]),
        ({'classes': np.int64(1)}, [2]),
        ({'classes': torch.tensor([0, 2])}, [0, 1]),
        ({'classes': []}, []),
        ({'min_score': 0.5}, [0, 1]),
        ({'min_score': 1}, []),
        ({'classes': {'cat', 'dog'}, 'min_score': 0.3}, [0]),
    ],
)
def test_filter(found, options, rows):
    assert found.filter(**options).boxes.tolist() == found[rows].boxes.tolist()
    assert found[:0].filter(**options).boxes.shape == (0, 4)


def test_filter_keeps_a_score_that_is_just_enough_and_no_score_that_is_not_a_number():
    dets = three(scores=torch.tensor([0.9, float('nan'), 0.1]))
    assert dets.filter(min_score=0.9).names == ['cat'] and dets.filter(min_score=0).names == ['cat', 'dog']


def test_filter_of_names_that_occur_twice():
    assert three(class_names=('cat', 'dog', 'cat')).filter('cat').labels.tolist() == [0, 2]


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        ({'classes': 'bord'}, "unknown class 'bord'; did you mean bird"),
        ({'classes': ['cat', 'zebra']}, "unknown class 'zebra'; the 3 classes are cat, dog, bird"),
        ({'classes': 3}, 'unknown class 3; the 3 classes'),
        ({'classes': [-1]}, 'unknown class -1'),
        ({'min_score': 50}, 'min_score is 50; expected a score in 0..1'),
        ({'min_score': float('nan')}, 'min_score is nan'),
    ],
)
def test_filter_refuses(found, options, message):
    with pytest.raises(ValueError, match=message):
        found.filter(**options)


@pytest.mark.parametrize('kind', ['torch', 'numpy'])
def test_numbers_of_tracks_go_with_their_rows(kind):
    found = Detections(BOXES, [0.9, 0.8, 0.7], [0, 1, 0], NAMES, (480, 640), track_ids=[7, 3, 5])
    found = getattr(found, kind)()
    assert type(found.track_ids) is type(found.labels) and found.track_ids.tolist() == [7, 3, 5]
    assert found[[2, 0]].track_ids.tolist() == [5, 7] and found[1].track_ids.tolist() == [3]
    assert found.filter(min_score=0.75).track_ids.tolist() == [7, 3]
    assert three().track_ids is None and three()[0].numpy().torch().track_ids is None
    with pytest.raises(ValueError, match=r'track_ids have shape \(2,\); expected \[3\]'):
        Detections(BOXES, [0.9, 0.8, 0.7], [0, 1, 0], NAMES, (480, 640), track_ids=[7, 3])
