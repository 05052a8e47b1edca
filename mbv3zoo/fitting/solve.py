"""Which channels go: those that are worth least for the time they take, until a network is as fast as it should be."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from typing import NamedTuple

import numpy as np

from mbv3zoo.fitting.time_model import TimeModel
from mbv3zoo.widths.records import ChannelGroup

# Widths below the present one that are looked at, as a jump over a step that saves nothing may be worth it.
_JUMPS = 4


class _Move(NamedTuple):
    """A group that gets narrower: what is lost for a millisecond, its units then, and the milliseconds it saves."""

    price: float
    units: int
    saved: float


def solve(
    model: TimeModel,
    groups: Mapping[str, ChannelGroup],
    importance: Mapping[str, np.ndarray],
    milliseconds: float,
    least: Mapping[str, int],
    start: Mapping[str, int],
) -> dict[str, int]:
    """Units that each group keeps, so that the model's time is at most so many milliseconds; or as near as it gets.

    A greedy solution of the knapsack: again and again the group gets narrower that loses the least importance for the
    time it saves, with the times of its neighbours as wide as they are then.

    Args:
        model: The time by widths.
        groups: Its groups by name.
        importance: Name of a group -> what each unit that it has is worth, float64 [units].
        milliseconds: The time to come to, as the model counts it.
        least: Name of a group -> units that stay at least.
        start: Name of a group -> units that it has; groups without importance keep them.
    """
    widths = dict(start)
    # What the first n units are worth that go, in their order.
    lost = {name: np.concatenate([[0.0], np.cumsum(np.sort(values))]) for name, values in importance.items()}

    def best(name: str) -> _Move | None:
        if name not in lost:
            return None
        whole, now, size = len(lost[name]) - 1, widths[name], groups[name].size
        before, found = model.part(name, widths), None
        fitting = (u for u in range(now - 1, least[name] - 1, -1) if u * size % model.table.step == 0)
        for units in islice(fitting, _JUMPS):
            saved = before - model.part(name, {**widths, name: units})
            if saved > 0:
                price = (lost[name][whole - units] - lost[name][whole - now]) / saved
                if found is None or price < found.price:
                    found = _Move(float(price), units, saved)
        return found

    moves = {name: best(name) for name in widths}
    time = model.total(widths)
    while time > milliseconds:
        possible = {name: move for name, move in moves.items() if move}
        if not possible:
            break
        name = min(possible, key=lambda name: possible[name].price)
        widths[name] = possible[name].units
        time -= possible[name].saved
        for other in model.neighbours[name]:
            moves[other] = best(other)
    return widths
