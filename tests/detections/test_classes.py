import pytest
from three_detections import NAMES

from mbv3zoo.detections.classes import class_indices


def test_class_indices_are_in_the_order_asked_for():
    assert class_indices(['bird', 'cat'], NAMES) == [2, 0] and class_indices('dog', NAMES) == [1]
    with pytest.raises(ValueError, match=r'the 50 classes are 0, 1, .* 9, \.\.\.$'):
        class_indices('zebra', [str(i) for i in range(50)])
