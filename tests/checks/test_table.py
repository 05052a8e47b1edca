import numpy as np
from labelled import as_set, record

from mbv3zoo.checks.table import Objects

DATA = as_set(
    record(1),
    record(2, [[0, 0, 10, 20], [5, 5, 8, 6], [1, 1, 4, 4]], [2, 0, 1], [False, True, False]),
    record(3, [[10, 0, 14, 30]], [1]),
)


def test_objects_are_the_training_targets_in_their_order():
    objects = Objects.of(DATA)
    assert [column.tolist() for column in objects] == [[1, 1, 2], [0, 2, 0], [10, 3, 4], [20, 3, 30], [2, 1, 1]]


def test_a_split_without_objects_or_images_has_empty_columns():
    for data in (as_set(), as_set(record(1))):
        assert all(len(column) == 0 for column in Objects.of(data))


def test_examples_are_images_with_the_worst_first():
    objects = Objects.of(DATA)
    every = np.ones(3, bool)
    found = objects.examples(DATA, every, objects.height, lambda rows: str(objects.height[rows].max()))
    assert [(example.record.image_id, sorted(example.objects), example.caption) for example in found] == [
        (3, [0], '30.0'),
        (2, [0, 2], '20.0'),
    ]
    assert objects.examples(DATA, ~every, objects.height, str) == ()


def test_at_most_twelve_images_are_shown():
    data = as_set(*[record(i, [[0, 0, 1 + i, 1]]) for i in range(20)])
    objects = Objects.of(data)
    found = objects.examples(data, objects.width > 2, objects.width, str)
    assert [example.record.image_id for example in found] == [*range(19, 7, -1)]
