"""Input sizes that a fit tries beside the model's own."""

from __future__ import annotations

from mbv3zoo.config.model import COARSEST_STRIDE
from mbv3zoo.utils.sizes import LEAST_SIDE, whole_number


def smaller_sizes(size: tuple[int, int], least: int | None) -> list[tuple[int, int]]:
    """Smaller sizes of about the same shape, whose shorter side is a multiple of 32 pixels, the largest first.

    Args:
        size: (height, width) in pixels.
        least: The least shorter side; None for no other sizes.

    Raises:
        ValueError: `least` is not a whole number from 32 to the shorter side.
    """
    if least is None:
        return []
    shorter, longer = sorted(size)
    whole_number(least, 'min_image_size', LEAST_SIDE, shorter)
    found = []
    for side in range((shorter - 1) // COARSEST_STRIDE * COARSEST_STRIDE, least - 1, -COARSEST_STRIDE):
        other = round(longer * side / shorter / COARSEST_STRIDE) * COARSEST_STRIDE
        found.append((side, other) if size[0] <= size[1] else (other, side))
    return found
