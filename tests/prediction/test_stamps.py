from types import SimpleNamespace

import pytest

from mbv3zoo.prediction.stamps import sorted_stamps, without_slips


def stamped(values):
    return [SimpleNamespace(pts=None if value is None else 10 * value) for value in values]


def stamps(frames):
    return [None if frame.pts is None else frame.pts // 10 for frame in frames]


@pytest.mark.parametrize(
    ('derived', 'right'),
    [
        ([0, 1, 2, 3], [0, 1, 2, 3]),
        # One frame late, up to the one that is stored; twice; up to the end.
        ([0, 1, 3, 4, 5, 5, 6], [0, 1, 2, 3, 4, 5, 6]),
        ([0, 2, 3, 3, 4, 6, 6, 7], [0, 1, 2, 3, 4, 5, 6, 7]),
        ([0, 1, 3], [0, 1, 2]),
        # Two frames early, as where frames are predicted from both sides.
        ([0, 1, 2, 1, 2, 3, 6, 7], [0, 1, 2, 3, 4, 5, 6, 7]),
        # Missing frames stay missing, also where one is late after them.
        ([0, 1, 5, 6, 7, 8, 12], [0, 1, 5, 6, 7, 8, 12]),
        ([0, 1, 6, 7, 7, 8], [0, 1, 5, 6, 7, 8]),
        ([0, 2, 6, 7, 8], [0, 2, 6, 7, 8]),
        ([0, 1, 5, 6, 8], [0, 1, 5, 6, 8]),
        ([0, 2, *range(3, 60)], [0, 2, *range(3, 60)]),
        ([], []),
        ([None, 0, None, 1], [None, 0, None, 1]),
    ],
)
def test_timestamps_of_an_mpg_that_are_derived_wrong_are_put_right(derived, right):
    assert stamps(without_slips(iter(stamped(derived)), 10)) == right


def test_timestamps_in_the_order_of_the_file_are_sorted():
    assert stamps(sorted_stamps(iter(stamped([0, 3, 2, 4, 1, 5, 9, 8])))) == [0, 1, 2, 3, 4, 5, 8, 9]
    order = [i ^ 5 for i in range(64)]
    assert stamps(sorted_stamps(iter(stamped(order)))) == list(range(64)) and list(sorted_stamps(iter([]))) == []
