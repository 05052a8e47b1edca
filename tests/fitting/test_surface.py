"""The time of a unit by its channels."""

import itertools

import numpy as np
import pytest

from mbv3zoo.fitting.surface import fit_surface

GRID = [*itertools.product((16, 48, 80), (16, 64, 96))]


def plane(inputs, outputs):
    return 2 + 0.01 * inputs + 0.03 * outputs + 0.002 * inputs * outputs


def test_a_known_surface_is_found_again_between_and_below_its_points():
    time = fit_surface({point: plane(*point) for point in GRID}, 16)
    for inputs, outputs in ((16, 16), (32, 80), (64, 32)):
        assert time(inputs, outputs) == pytest.approx(plane(inputs, outputs), rel=1e-6)


def test_scatter_is_smoothed():
    numbers = np.random.default_rng(0)
    errors = []
    for _ in range(20):
        time = fit_surface({point: plane(*point) * numbers.uniform(0.8, 1.25) for point in GRID}, 16)
        errors.append(time(48, 64) / plane(48, 64) - 1)
    # A single measurement is off by 13 % in the mean square.
    assert np.sqrt(np.mean(np.square(errors))) < 0.07


def test_times_never_fall_with_channels():
    """Whatever was measured: a solver would take channels for worse than none."""
    numbers = np.random.default_rng(1)
    for _ in range(20):
        time = fit_surface({point: numbers.uniform(0, 3) for point in GRID}, 16)
        values = np.array([[time(i, o) for o in range(16, 97, 16)] for i in range(16, 97, 16)])
        assert (np.diff(values, axis=0) >= -1e-9).all() and (np.diff(values, axis=1) >= -1e-9).all()


def test_channels_count_in_whole_steps():
    time = fit_surface({point: plane(*point) for point in GRID}, 16)
    assert time(41, 64) == time(48, 64) and time(48, 49) == time(48, 64)


def test_a_width_of_no_whole_steps_costs_as_much_more_as_was_measured():
    times = {point: plane(*point) for point in GRID} | {(40, 64): 1.5 * plane(48, 64)}
    time = fit_surface(times, 16)
    assert time(40, 64) == pytest.approx(1.5 * time(48, 64), rel=0.05)
    assert time(32, 64) < time(48, 64)


def test_units_of_one_number_of_channels():
    time = fit_surface({(width, 0): 1 + 0.5 * width for width in (16, 32, 96)}, 16)
    assert time(64, 64) == pytest.approx(33)


@pytest.mark.parametrize('value', [0.0, 1.0])
def test_a_single_point(value):
    assert fit_surface({(16, 0): value}, 16)(16, 16) == pytest.approx(value)
