"""How fast a model should become: in milliseconds, or as a multiple of its speed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from mbv3zoo.utils.text import shown

Numbers = float | Sequence[float]

# Where a model may be fitted to, the usual one first, and the epochs that it is trained for afterwards.
RUNTIMES_THAT_FIT = ('onnxruntime', 'openvino')
EPOCHS = 30


class NotReached(ValueError):
    """A model cannot be made as fast as it should be; the message says how fast it can be."""


def read_budgets(ms: Any, speedup: Any) -> tuple[list[float], bool]:
    """The budgets that were given, largest time first, and whether they are milliseconds.

    Args:
        ms: Milliseconds, one number or several; None for none.
        speedup: Likewise, how many times faster.

    Raises:
        ValueError: Both or none are given, or a number is out of range.
    """
    if (ms is None) == (speedup is None):
        raise ValueError('name either ms or speedup: the milliseconds to come to, or how many times faster')
    name, given = ('ms', ms) if ms is not None else ('speedup', speedup)
    values = [*given] if isinstance(given, (list, tuple)) else [given]
    least = 0 if ms is not None else 1
    for value in values:
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not least < value < math.inf:
            raise ValueError(f'{name} is {shown(value)}; expected a number above {least}')
    if not values:
        raise ValueError(f'{name} is empty; expected at least one number')
    return sorted({float(value) for value in values}, reverse=ms is not None), ms is not None
