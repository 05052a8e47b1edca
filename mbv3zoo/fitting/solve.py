"""Which channels go: those that are worth least for the time they take, until a network is as fast as it should be."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from itertools import islice
from typing import NamedTuple

import numpy as np

from mbv3zoo.fitting.time_model import TimeModel
from mbv3zoo.widths.records import ChannelGroup

# Widths below the present one that are looked at, as a jump over a step that saves nothing may be worth it.
_JUMPS = 4


class _Move(NamedTuple):
    """Groups that get narrower: what is lost for a millisecond, their units then, and the milliseconds it saves."""

    price: float
    units: dict[str, int]
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
    time it saves, with the times of its neighbours as wide as they are then. Or a residual block is left out, which
    loses the importance of all groups in it: they have no units then.

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
    blocks: dict[str, list[str]] = defaultdict(list)
    for name in lost:
        blocks[groups[name].block].append(name)

    def move(units: dict[str, int]) -> _Move | None:
        saved = model.part(units, widths) - model.part(units, {**widths, **units})
        if saved <= 0:
            return None
        worth = [lost[name][-1 - fewer] - lost[name][-1 - widths[name]] for name, fewer in units.items()]
        return _Move(float(sum(worth)) / saved, units, saved)

    def best(name: str) -> _Move | None:
        if name not in lost or not widths[name]:
            return None
        size, block = groups[name].size, groups[name].block
        fitting = (u for u in range(widths[name] - 1, least[name] - 1, -1) if u * size % model.table.step == 0)
        found = [move({name: units}) for units in islice(fitting, _JUMPS)]
        if block:  # the whole of it
            found.append(move(dict.fromkeys(blocks[block], 0)))
        return min(filter(None, found), key=lambda each: each.price, default=None)

    moves = {name: best(name) for name in widths}
    time = model.total(widths)
    while time > milliseconds:
        cheapest = min(filter(None, moves.values()), key=lambda each: each.price, default=None)
        if cheapest is None:
            break
        widths |= cheapest.units
        time -= cheapest.saved
        for other in set().union(*(model.neighbours[name] for name in cheapest.units)):
            moves[other] = best(other)
    return widths
