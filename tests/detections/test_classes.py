import pytest
from three_detections import NAMES

from mbv3zoo.detections.classes import class_indices, split_classes


def test_class_indices_are_in_the_order_asked_for():
    assert class_indices(['bird', 'cat'], NAMES) == [2, 0] and class_indices('dog', NAMES) == [1]
    with pytest.raises(ValueError, match=r'the 50 classes are 0, 1, .* 9, \.\.\.$'):
        class_indices('zebra', [str(i) for i in range(50)])


def test_classes_as_they_are_typed():
    names = ['cat', 'dog', 'bird', 'knife, fork', '7']
    assert split_classes(['cat, dog', '2'], names) == ['cat', 'dog', 2]
    assert split_classes(['knife, fork', '7', '8'], names) == ['knife, fork', '7', 8]
    assert class_indices(split_classes(['bird,0'], names), names) == [2, 0]
    with pytest.raises(ValueError, match='unknown class 99'):
        class_indices(split_classes(['cat,99'], names), names)
