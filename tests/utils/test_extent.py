import pytest

from mbv3zoo.utils.extent import check_extent


def test_values_count_as_often_as_they_stand_there():
    check_extent({'a': [1, 2], 'b': 'xyz'}, 5)
    with pytest.raises(ValueError, match='more than 4 values'):
        check_extent({'a': [1, 2], 'b': 'xyz'}, 4)
    with pytest.raises(ValueError, match='more than 4 values'):
        check_extent([0] * 5, 4)
    shared = [1, 2]
    with pytest.raises(ValueError, match='more than 6 values'):
        check_extent([shared, shared], 6)


def test_levels_are_counted_and_what_holds_itself_has_no_end():
    check_extent([[1]], 10, deepest=2)
    for data in ([[[1]]], {'a': {'b': {'c': 1}}}):
        with pytest.raises(ValueError, match='more than 2 levels'):
            check_extent(data, 10, deepest=2)
    ring = []
    ring.append(ring)
    with pytest.raises(ValueError, match='more than 20 levels'):
        check_extent(ring, 1000)
