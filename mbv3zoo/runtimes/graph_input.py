"""What a graph says of its input: shape and type."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

# Size of a graph that takes any and does not say which is its own.
USUAL_SIZE = (640, 640)
_CHANNELS = (1, 3, 4)


class GraphInput(NamedTuple):
    """An input of a graph.

    Attributes:
        shape: [B, C, H, W] or [B, H, W, C]; None where any number goes.
        dtype: Type of its elements; object where NumPy has no such type.
    """

    shape: tuple[int | None, ...]
    dtype: np.dtype

    @property
    def sides(self) -> tuple[int, int]:
        """Axes of height and width."""
        last = self.shape[3] in _CHANNELS and self.shape[1] not in _CHANNELS
        return (1, 2) if last else (2, 3)

    def fill(self, size: tuple[int, int] | None, batch: int, usual: tuple[int, int] = USUAL_SIZE) -> tuple[int, ...]:
        """The shape of one call.

        Args:
            size: (height, width) in pixels; None takes the graph's own.
            batch: Images per call.
            usual: (height, width) in pixels for a graph that takes any, where `size` is None.

        Raises:
            ValueError: The graph takes another size or batch only.
        """
        own = tuple(self.shape[side] for side in self.sides)
        if size and any(fixed not in (None, asked) for fixed, asked in zip(own, size, strict=True)):
            raise ValueError(f'it takes pictures of {own[0]} x {own[1]} only, given {size[0]} x {size[1]}')
        if self.shape[0] not in (None, batch):
            raise ValueError(f'it takes batches of {self.shape[0]} only, given {batch}')
        filled = [batch, *(length or 3 for length in self.shape[1:])]
        for side, fixed, asked in zip(self.sides, own, size or usual, strict=True):
            filled[side] = fixed or asked
        return tuple(filled)
