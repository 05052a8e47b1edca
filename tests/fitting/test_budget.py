"""Budgets as they are given."""

import pytest

from mbv3zoo.fitting.budget import read_budgets


@pytest.mark.parametrize(
    ('ms', 'speedup', 'expected'),
    [
        (12, None, ([12.0], True)),
        ([6, 12.5, 6], None, ([12.5, 6.0], True)),
        (None, 1.5, ([1.5], False)),
        (None, (3, 2), ([2.0, 3.0], False)),
    ],
)
def test_budgets_go_from_the_slowest_to_the_fastest(ms, speedup, expected):
    assert read_budgets(ms, speedup) == expected


@pytest.mark.parametrize(
    ('ms', 'speedup', 'words'),
    [
        (None, None, 'ms or speedup'),
        (12, 2, 'ms or speedup'),
        (0, None, 'ms is 0; expected a number above 0'),
        (-3, None, 'ms is -3'),
        ('12', None, "ms is '12'"),
        (float('nan'), None, 'ms is nan'),
        (float('inf'), None, 'ms is inf'),
        (True, None, 'ms is True'),
        (None, 1, 'speedup is 1; expected a number above 1'),
        ([], None, 'ms is empty'),
        ([12, None], None, 'ms is None'),
    ],
)
def test_others_are_refused(ms, speedup, words):
    with pytest.raises(ValueError, match=words):
        read_budgets(ms, speedup)
