"""Times several models in turns, and makes figures of it.

Machines have slow phases, of seconds, from other work, heat or a host: whoever runs in one loses. So models take turns
in blocks shorter than a phase, which then hits all alike, and the figure to trust is the ratio within a round.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from statistics import median
from typing import Any, NamedTuple

import numpy as np

# A call counts as disturbed when its threads waited for a CPU for more than this share of it, or this many seconds.
_SHARE, _SECONDS = 0.02, 50e-6
_DIGITS = 4


class Block(NamedTuple):
    """Calls of one model in one round.

    Attributes:
        ms: Median of the calls that count.
        calls: How many there were.
        disturbed: How many of them had to wait for a CPU; None where that is not known.
    """

    ms: float
    calls: int
    disturbed: int | None


def interleave(
    calls: Sequence[Callable[[], object]],
    rounds: int,
    seconds: float,
    clock: Callable[[], float] = time.perf_counter,
    waited: Callable[[], float] | None = None,
) -> list[list[Block]]:
    """Lets models take turns.

    Args:
        calls: Runs a model once, one for each.
        rounds: Blocks each gets.
        seconds: Length of a block; it has at least one call that counts.
        clock: Seconds.
        waited: Seconds that this process waited for a CPU until now; None where that is not known.

    Returns:
        For each model its blocks, one a round.
    """
    blocks: list[list[Block]] = [[] for _ in calls]
    for number in range(rounds):
        # There and back, so that nobody always runs after the same one.
        turns = list(zip(calls, blocks, strict=True))[:: -1 if number % 2 else 1]
        for call, own in turns:
            own.append(_block(call, seconds, clock, waited))
    return blocks


def figures(blocks: Sequence[Block], first: Sequence[Block] | None, batch: int) -> dict[str, Any]:
    """What is told of a model: the fields of `mbv3zoo.benchmark.rows.Row` that are measured in turns.

    Args:
        blocks: Its blocks.
        first: Those of the model that it is compared with, one for each of its own; None where that one did not run.
        batch: Pictures a call.
    """
    times = [block.ms for block in blocks]
    ms = median(times)
    low, high = np.percentile(times, (10, 90)).tolist()
    found = {'ms': ms, 'ms_low': low, 'ms_high': high, 'images_per_second': 1e3 * batch / ms}
    if first is not None:
        found['relative'] = median(own.ms / other.ms for own, other in zip(blocks, first, strict=True))
    if all(block.disturbed is not None for block in blocks):
        found['disturbed'] = sum(block.disturbed for block in blocks) / sum(block.calls for block in blocks)
    return {name: round(value, _DIGITS) for name, value in found.items()}


def _block(
    call: Callable[[], object], seconds: float, clock: Callable[[], float], waited: Callable[[], float] | None
) -> Block:
    # The first call does not count: caches hold the model before, whose threads may still spin.
    call()
    clean, disturbed = [], []
    end = clock() + seconds
    while True:
        waited_before = waited() if waited else 0
        start = clock()
        call()
        spent = clock() - start
        waiting = waited() - waited_before if waited else 0
        (disturbed if waiting > max(_SHARE * spent, _SECONDS) else clean).append(spent)
        if clock() >= end:
            count = len(clean) + len(disturbed)
            # On a machine that is never quiet, what was measured is better than nothing, and the share tells it.
            return Block(1e3 * median(clean or disturbed), count, len(disturbed) if waited else None)
