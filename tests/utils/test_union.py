import numpy as np
import pytest

from mbv3zoo.utils.union import Union


def test_numbers_follow_one_another_and_are_alone_at_first():
    union = Union()
    first, second = union.new(3), union.new(2)
    assert first.tolist() == [0, 1, 2] and second.tolist() == [3, 4]
    assert union.roots(np.array([0, 1, 2, 3, 4])) == [0, 1, 2, 3, 4] and union.fixed() == set()


def test_joined_numbers_have_the_smallest_as_their_root():
    union = Union()
    first, second, third = (union.new(2) for _ in range(3))
    union.join(third, second)
    union.join(second[:1], first[1:])
    assert union.roots(np.arange(6)) == [0, 1, 1, 3, 1, 3]


def test_equals_the_merging_of_sets():
    random = np.random.default_rng(0)
    union, sets = Union(), [{number} for number in range(60)]
    union.new(60)
    for first, second in random.integers(0, 60, (40, 2)):
        union.join(np.array([first]), np.array([second]))
        together = next(one for one in sets if first in one) | next(one for one in sets if second in one)
        sets = [one for one in sets if not one & together] + [together]
    assert 10 < len(sets) < 40
    roots = union.roots(np.arange(60))
    assert all(roots[number] == min(one) for one in sets for number in one)


def test_what_is_joined_with_a_fixed_number_is_fixed_whichever_comes_first():
    union = Union()
    numbers = union.new(6)
    union.join(numbers[:1], numbers[1:2])
    union.freeze(numbers[1:2])
    union.freeze(numbers[2:3])
    union.join(numbers[2:3], numbers[3:4])
    union.freeze(None)
    assert union.fixed() == {0, 2} and union.roots(numbers) == [0, 0, 2, 2, 4, 5]


def test_the_same_number_of_each_side_is_joined():
    union = Union()
    with pytest.raises(ValueError):
        union.join(union.new(2), union.new(3))
