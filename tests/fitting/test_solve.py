"""Which channels go."""

import itertools
from types import SimpleNamespace

import numpy as np
import pytest

from mbv3zoo.fitting.solve import solve

STEP = 4


class Model:
    """A chain of layers a, b, c: the time of each is its inputs times its outputs, in whole steps."""

    full = {'a': 16, 'b': 32, 'c': 16}
    table = SimpleNamespace(step=STEP)
    layers = (('', 'a'), ('a', 'b'), ('b', 'c'), ('c', ''))

    def __init__(self, size=1):
        self.size = size
        self.neighbours = {name: {n for layer in self._of(name) for n in layer if n} for name in self.full}

    def _of(self, name):
        return [layer for layer in self.layers if name in layer]

    def _time(self, layer, widths):
        first, second = (-(-widths.get(name, 4) * self.size // STEP) for name in layer)
        return first * second

    def total(self, widths):
        return sum(self._time(layer, widths) for layer in self.layers)

    def part(self, name, widths):
        return sum(self._time(layer, widths) for layer in self._of(name))


MODEL = Model()
GROUPS = {name: SimpleNamespace(name=name, size=1, units=units) for name, units in Model.full.items()}
LEAST = dict.fromkeys(Model.full, 2)


def draw(seed, scale=None):
    numbers = np.random.default_rng(seed)
    return {name: numbers.exponential((scale or {}).get(name, 1), units) for name, units in Model.full.items()}


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
    groups = {name: SimpleNamespace(name=name, size=2, units=units) for name, units in Model.full.items()}
    found = solve(Model(size=2), groups, draw(0), 0.0, dict.fromkeys(Model.full, 1), Model.full)
    assert found == {'a': 2, 'b': 2, 'c': 2}  # four channels, one step
