"""YOLOv5's compound scaling of width and depth."""

from __future__ import annotations

import math


def scale_width(channels: int, width_multiple: float) -> int:
    """The next multiple of 8 at or above `channels * width_multiple`."""
    return math.ceil(channels * width_multiple / 8) * 8


def scale_depth(repeats: int, depth_multiple: float) -> int:
    """At least one repeat; a single one stays single."""
    return max(round(repeats * depth_multiple), 1) if repeats > 1 else repeats
