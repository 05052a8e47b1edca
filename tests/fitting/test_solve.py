"""Which channels go."""

import itertools
from types import SimpleNamespace

import numpy as np
import pytest
from fitting_cases import BLOCK, GROUPS, LEAST, MODEL, STEP, FakeTimeModel, draw

from mbv3zoo.fitting.solve import solve


def lost(importance, widths):
    return sum(np.sort(values)[: len(values) - widths[name]].sum() for name, values in importance.items())


def run(importance, budget, start=None, least=LEAST):
    return solve(MODEL, GROUPS, importance, budget, least, start or MODEL.full)


@pytest.mark.parametrize('share', [0.9, 0.6, 0.3])
@pytest.mark.parametrize('seed', range(5))
def test_it_is_near_the_best_of_all_widths(seed, share):
    importance, budget = draw(seed), share * MODEL.total(MODEL.full)
    found = run(importance, budget)
    assert MODEL.total(found) <= budget
    every = (
        dict(zip('abc', widths, strict=True))
        for widths in itertools.product(*(range(STEP, MODEL.full[name] + 1, STEP) for name in 'abc'))
    )
    best = min(lost(importance, widths) for widths in every if MODEL.total(widths) <= budget)
    whole = lost(importance, dict.fromkeys(MODEL.full, 0))
    # A greedy choice ends with one step too many at most.
    assert lost(importance, found) <= best + 0.12 * whole


def test_what_is_worth_nothing_goes_first():
    found = run(draw(0, {'b': 1e-6}), 0.7 * MODEL.total(MODEL.full))
    assert found['b'] < 32 and found['a'] == found['c'] == 16


def test_a_budget_that_holds_already_changes_nothing():
    assert run(draw(0), MODEL.total(MODEL.full)) == MODEL.full


def test_widths_end_at_the_least_ones():
    assert run(draw(0), 0.0) == {'a': 4, 'b': 4, 'c': 4}
    assert run(draw(0), 0.0, least={'a': 9, 'b': 2, 'c': 16}) == {'a': 12, 'b': 4, 'c': 16}


def test_it_goes_on_from_a_narrower_network():
    start = {'a': 8, 'b': 16, 'c': 16}
    importance = {name: values[: start[name]] for name, values in draw(0).items()}
    found = run(importance, 0.3 * MODEL.total(MODEL.full), start)
    assert all(found[name] <= start[name] for name in found) and found != start
    assert MODEL.total(found) <= 0.3 * MODEL.total(MODEL.full)


def test_groups_without_importance_stay():
    importance = {name: values for name, values in draw(0).items() if name != 'b'}
    assert run(importance, 0.0) == {'a': 4, 'b': 32, 'c': 4}


def test_units_of_several_channels_are_counted_in_channels():
    groups = {name: SimpleNamespace(name=name, size=2, units=units, block='') for name, units in MODEL.full.items()}
    found = solve(FakeTimeModel(size=2), groups, draw(0), 0.0, dict.fromkeys(MODEL.full, 1), MODEL.full)
    assert found == {'a': 2, 'b': 2, 'c': 2}  # four channels, one step


def test_a_block_goes_that_is_worth_nothing():
    found = solve(MODEL, BLOCK, draw(0, {'b': 1e-6, 'c': 1e-6}), 0.06 * MODEL.total(MODEL.full), LEAST, MODEL.full)
    assert found == {'a': 16, 'b': 0, 'c': 0}


def test_a_block_stays_that_is_worth_more_than_others():
    found = solve(MODEL, BLOCK, draw(0, {'c': 1e6}), 0.5 * MODEL.total(MODEL.full), LEAST, MODEL.full)
    assert found['b'] and found['c']


@pytest.mark.parametrize('share', [0.9, 0.6, 0.3, 0.1])
@pytest.mark.parametrize('seed', range(5))
def test_with_blocks_it_is_near_the_best_of_all_widths(seed, share):
    importance, budget = draw(seed), share * MODEL.total(MODEL.full)
    found = solve(MODEL, BLOCK, importance, budget, LEAST, MODEL.full)
    assert MODEL.total(found) <= budget and (found['b'] == 0) == (found['c'] == 0)
    widths = [
        dict(zip('abc', each, strict=True))
        for each in itertools.product(*(range(STEP, MODEL.full[name] + 1, STEP) for name in 'abc'))
    ]
    widths += [{'a': a, 'b': 0, 'c': 0} for a in range(STEP, 17, STEP)]
    best = min(lost(importance, each) for each in widths if MODEL.total(each) <= budget)
    assert lost(importance, found) <= best + 0.12 * lost(importance, dict.fromkeys(MODEL.full, 0))


def test_a_block_that_has_gone_stays_away():
    start = {'a': 16, 'b': 0, 'c': 0}
    found = solve(MODEL, BLOCK, {'a': draw(0)['a']}, 0.0, LEAST, start)
    assert found == {'a': 4, 'b': 0, 'c': 0}
