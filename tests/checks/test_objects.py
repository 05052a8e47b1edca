"""Objects that are too small, labelled twice, or thin; figures by plain arithmetic."""

import numpy as np
import pytest
from labelled import as_set, record

from mbv3zoo.checks.objects import LOST, find_doubles, find_small, find_thin


def square(x, side):
    return [x, 10, x + side, 10 + side]


def small(data, size):
    return {finding.name: finding for finding in find_small({'train': data}, size)}


def test_sides_count_at_the_size_of_the_input():
    # 200 x 300 becomes 213 x 320: all sides grow by 320 / 300.
    data = as_set(record(1, [square(0, 1.8), square(20, 1.9), square(40, 7.4), square(60, 7.6)]))
    found = small(data, (320, 320))
    assert (found[LOST].count, found['small objects'].count) == (1, 2)
    assert [example.objects for example in found[LOST].examples] == [[0]]
    # The smallest first.
    assert found['small objects'].examples[0].objects == [1, 2]
    assert small(data, (1280, 1280)).keys() == {'small objects'} and small(data, (4000, 4000)) == {}


def test_crowds_are_left_out():
    assert small(as_set(record(1, [square(0, 1)], crowd=[True])), (320, 320)) == {}
    assert [*find_doubles({'a': as_set(record(1, [square(0, 9)] * 2, crowd=[True, False]))})] == []


def test_a_few_are_a_note_and_many_a_warning_with_advice():
    large = [square(3 * i, 40) for i in range(39)]
    note = small(as_set(record(1, [*large, square(0, 5)])), (320, 320))['small objects']
    assert note.level == 'note' and '1 object of train (2.5 %)' in note.text and '--image-size' not in note.text
    warning = small(as_set(record(1, [*large, *[square(9 * i, 5) for i in range(9)]])), (320, 320))['small objects']
    # 5 pixels become 5.33 at 320, and 8 at 480.
    assert warning.level == 'warning' and warning.text.endswith('; --image-size 480 gives 95% of these 8 pixels')


def test_where_the_input_would_be_very_large_tiles_are_named():
    data = as_set(record(1, [square(30 * i, 20) for i in range(9)], size=(4000, 6000)))
    text = small(data, (640, 640))['small objects'].text
    # 20 pixels become 2.13; at 2400 they are 8. A tile of 1600 pixels at 640 has them as 8 too.
    assert text.endswith(
        '--image-size 2400 gives 95% of these 8 pixels, or this input on tiles of 1600 x 1600 pixels of the pictures'
    )


def test_the_input_need_not_be_square():
    data = as_set(record(1, [square(20 * i, 5) for i in range(9)]))
    # 5 pixels become 4.
    assert 'at the input 160x320; --image-size 320x640 gives' in small(data, (160, 320))['small objects'].text


def iou(one, other):
    sides = np.minimum(one[2:], other[2:]) - np.maximum(one[:2], other[:2])
    shared = np.prod(np.maximum(sides, 0))
    return shared / (np.prod(one[2:] - one[:2]) + np.prod(other[2:] - other[:2]) - shared)


@pytest.mark.parametrize('seed', range(3))
def test_pairs_of_one_class_are_those_of_a_slow_search(seed):
    rng = np.random.default_rng(seed)
    corners = rng.integers(0, 60, (40, 2)).repeat(2, 0) + rng.integers(0, 3, (80, 2))
    boxes = np.concatenate([corners, corners + rng.integers(30, 50, (40, 2)).repeat(2, 0)], 1).astype(float)
    labels = rng.integers(0, 2, 80)
    pairs = {(i, j) for j in range(80) for i in range(j) if labels[i] == labels[j] and iou(boxes[i], boxes[j]) > 0.85}
    (found,) = find_doubles({'val': as_set(record(1, boxes.tolist(), labels.tolist()))})
    assert found.count == len(pairs) > 5 and found.examples[0].objects == sorted({*sum(pairs, ())})


def test_boxes_of_two_classes_or_apart_are_no_pairs():
    data = as_set(record(1, [square(0, 40), square(0, 40), square(20, 40)], [0, 1, 0]), record(2))
    assert [*find_doubles({'train': data})] == []


def test_thin_objects():
    data = as_set(record(1, [[0, 0, 4, 81], [0, 0, 4, 79]]), record(2, [[0, 0, 290, 3]]))
    (found,) = find_thin({'train': data})
    assert found.level == 'note' and found.count == 2
    assert [(example.record.image_id, example.objects, example.caption) for example in found.examples] == [
        (2, [0], '97 to 1'),
        (1, [0], '20 to 1'),
    ]


def test_nothing_is_found_where_there_is_nothing():
    for data in (as_set(), as_set(record(1))):
        splits = {'train': data}
        assert [*find_small(splits, (320, 320)), *find_doubles(splits), *find_thin(splits)] == []
