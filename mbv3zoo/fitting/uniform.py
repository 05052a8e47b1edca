"""All layers narrower by one factor, as width multipliers make them: what a fit is compared with."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from mbv3zoo.fitting.time_model import TimeModel
from mbv3zoo.widths.records import ChannelGroup

# Factors that are tried, from 1 to 0.
_FACTORS = np.linspace(1, 0, 257)


def solve_uniformly(
    model: TimeModel,
    groups: Mapping[str, ChannelGroup],
    importance: Mapping[str, np.ndarray],
    milliseconds: float,
    least: Mapping[str, int],
    start: Mapping[str, int],
) -> dict[str, int]:
    """Units that each group keeps where all keep the same share, in whole steps of the runtime's kernels.

    Args:
        model, groups, importance, milliseconds, least, start: As for `mbv3zoo.fitting.solve.solve`; of the importance
            only which groups have one.
    """
    widths = dict(start)
    for factor in _FACTORS:
        for name in importance:
            size, step = groups[name].size, model.table.step
            channels = max(round(factor * model.full[name] * size / step), 1) * step
            widths[name] = min(max(channels // size, least[name]), start[name])
        if model.total(widths) <= milliseconds:
            break
    return widths
