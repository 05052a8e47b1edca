from dataclasses import replace

from labelled import as_set, record

from mbv3zoo.checks.classes import find_class_problems, find_uneven

BOX = [0, 0, 50, 50]


def of(*counts):
    """A split with so many objects of each class: cat, dog, owl."""
    labels = [label for label, count in enumerate(counts) for _ in range(count)]
    return as_set(record(1, [BOX] * len(labels), labels))


def found(splits):
    return [(finding.level, finding.name, finding.count) for finding in find_class_problems(splits)]


def test_enough_of_each_class_is_no_problem():
    assert found({'train': of(10, 20, 30), 'val': of(1, 1, 1)}) == []
    assert [*find_uneven({'train': of(10, 1000, 30)})] == []


def test_a_class_that_cannot_be_learned_or_measured():
    assert found({'train': of(10, 20, 0), 'val': of(1, 0, 2)}) == [
        ('error', 'classes without objects', 1),
        ('warning', 'classes without objects', 1),
    ]
    # In neither, it is only not used.
    assert found({'train': of(10, 20, 0)}) == [('warning', 'classes without objects', 1)]
    (first, _) = find_class_problems({'train': of(10, 20, 0), 'val': of(1, 0, 2)})
    assert first.text == "1 class without an object in train: 'owl'; val has some, which cannot be learned"


def test_few_objects_of_a_class():
    (finding,) = find_class_problems({'all': of(9, 10, 1)})
    assert finding.text == "2 classes with under 10 objects in all: 'cat', 'owl'"


def test_a_class_far_rarer_than_another():
    (finding,) = find_uneven({'val': of(1, 1, 1), 'train': of(1, 101, 50)})
    assert finding.count == 1 and finding.text.startswith("'dog' has 101 objects in train, and 'cat' 1:")


def test_other_classes_are_an_error_and_nothing_is_counted():
    other = replace(of(1, 1, 1), class_names=('cat', 'owl', 'dog'))
    assert found({'train': of(0, 0, 1), 'val': other}) == [('error', 'other classes', 1)]


def test_splits_without_objects():
    for data in (as_set(), as_set(record(1))):
        assert found({'train': data, 'val': data}) == [] and [*find_uneven({'train': data})] == []
    assert found({'train': of(10, 10, 10), 'val': as_set(record(1))}) == []
