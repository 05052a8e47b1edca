"""One width multiplier for all layers."""

import pytest
from fitting_cases import BLOCK, GROUPS, LEAST, MODEL, draw

from mbv3zoo.fitting.uniform import solve_uniformly


@pytest.mark.parametrize(('share', 'expected'), [(1.0, (16, 32, 16)), (0.6, (12, 24, 12)), (0.3, (8, 16, 8))])
def test_all_keep_the_same_share(share, expected):
    budget = share * MODEL.total(MODEL.full)
    found = solve_uniformly(MODEL, GROUPS, draw(0), budget, LEAST, MODEL.full)
    assert found == dict(zip('abc', expected, strict=True)) and MODEL.total(found) <= budget


def test_blocks_and_groups_without_importance_stay():
    importance = {name: values for name, values in draw(0).items() if name != 'a'}
    found = solve_uniformly(MODEL, BLOCK, importance, 0.0, LEAST, MODEL.full)
    assert found == {'a': 16, 'b': 4, 'c': 4}


def test_it_does_not_become_wider():
    start = {'a': 8, 'b': 32, 'c': 16}
    found = solve_uniformly(MODEL, GROUPS, draw(0), MODEL.total(MODEL.full), LEAST, start)
    assert found == start
