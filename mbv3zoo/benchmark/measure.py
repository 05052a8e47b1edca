"""Times several models in alternation, and computes figures from the times.

Machines have slow phases of some seconds, from other work, heat or the host: a model that runs in one looks slow. So
models alternate in blocks shorter than a phase, which then slows all of them alike. The figure to trust is the ratio
within a round.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from statistics import median
from typing import NamedTuple

import numpy as np

# A call counts as disturbed where its threads waited for a CPU for more than this share of it, and this many seconds.
_SHARE, _SECONDS = 0.02, 50e-6
_DIGITS = 4


class Block(NamedTuple):
    """Calls of one model in one round.

    Attributes:
        ms: Median of the calls that count.
        calls: Number of calls.
        disturbed: Number of calls that had to wait for a CPU; None where that is not known.
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
    """Runs models in alternation.

    Args:
        calls: One function per model, which runs it once.
        rounds: Blocks per model.
        seconds: Length of a block; it has at least one call that counts.
        clock: Gives the time in seconds.
        waited: Gives the seconds that this process has waited for a CPU until now; None where that is not known.

    Returns:
        Per model its blocks, one per round.
    """
    blocks: list[list[Block]] = [[] for _ in calls]
    for number in range(rounds):
        # Every second round in reverse, so that no model always runs after the same one.
        turns = list(zip(calls, blocks, strict=True))[:: -1 if number % 2 else 1]
        for call, own in turns:
            own.append(_block(call, seconds, clock, waited))
    return blocks


def figures(blocks: Sequence[Block], first: Sequence[Block] | None, batch: int) -> dict[str, float]:
    """A model's figures: the fields of `mbv3zoo.benchmark.rows.Row` that `interleave` measures.

    Args:
        blocks: The model's blocks.
        first: The blocks of the model that it is compared with, as many; None where that one did not run.
        batch: Images per call.
    """
    times = [block.ms for block in blocks]
    ms = median(times)
    low, high = np.percentile(times, (10, 90)).tolist()
    found = {'ms': ms, 'ms_low': low, 'ms_high': high, 'images_per_second': 1e3 * batch / ms}
    if first is not None:
        found['relative'] = median(own.ms / other.ms for own, other in zip(blocks, first, strict=True))
    disturbed = [block.disturbed for block in blocks if block.disturbed is not None]
    if len(disturbed) == len(blocks):
        found['disturbed'] = sum(disturbed) / sum(block.calls for block in blocks)
    return {name: round(value, _DIGITS) for name, value in found.items()}


def _block(
    call: Callable[[], object], seconds: float, clock: Callable[[], float], waited: Callable[[], float] | None
) -> Block:
    # The first call does not count: caches still hold the model before, whose threads may be spinning.
    call()
    clean: list[float] = []
    disturbed: list[float] = []
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
            # On a machine that is never quiet, disturbed calls are better than nothing; the share of them is reported.
            return Block(1e3 * median(clean or disturbed), count, len(disturbed) if waited else None)
