"""The time of a unit by its channels, from measurements that scatter."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping

import numpy as np

Point = tuple[int, int]

# Times below this share of the median count as much as it: their relative errors are large and say nothing.
_FLOOR = 0.1


def fit_surface(times: Mapping[Point, float], step: int) -> Callable[[int, int], float]:
    """The time of (inputs, outputs) channels: a constant, and parts that grow with inputs, outputs and their product.

    Channels are counted in whole steps, as kernels compute them. All parts are at least 0, and relative errors are
    least in the mean square. A width that is not of whole steps costs as much more as was measured.

    Args:
        times: Measured times of (inputs, outputs); outputs are 0 where there is one number of channels only.
        step: Channels that are computed at once.
    """
    points, values = [*times], np.array([*times.values()])
    rows = np.array([_parts(*point, step) for point in points])
    weights = 1 / np.maximum(values, max(_FLOOR * float(np.median(values)), 1e-9))
    parts = _least_squares(rows * weights[:, None], values * weights)
    fitted = dict(zip(points, (rows @ parts).tolist(), strict=True))
    whole = {point: all(width % step == 0 for width in point) for point in points}
    # A network's own widths are measured; those it may get are of whole steps.
    slower = {
        point: max(times[point] / fitted[point], 1.0) if fitted[point] > 0 else 1.0
        for point in points
        if not whole[point]
    }

    def time(inputs: int, outputs: int) -> float:
        point = inputs, outputs if any(o for _, o in points) else 0
        return float(_parts(*point, step) @ parts) * slower.get(point, 1.0)

    return time


def _parts(inputs: int, outputs: int, step: int) -> np.ndarray:
    i, o = (math.ceil(width / step) for width in (inputs, outputs))
    return np.array([1.0, i, o, i * o])


def _least_squares(rows: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Coefficients of at least 0 with the least squares: the best of all choices of columns, which are few."""
    best, found = math.inf, np.zeros(rows.shape[1])
    for count in range(1, rows.shape[1] + 1):
        for columns in map(list, itertools.combinations(range(rows.shape[1]), count)):
            parts = np.linalg.lstsq(rows[:, columns], values, rcond=None)[0]
            error = float(((rows[:, columns] @ parts - values) ** 2).sum())
            if (parts >= 0).all() and error < best:
                best, found = error, np.zeros(rows.shape[1])
                found[columns] = parts
    return found
