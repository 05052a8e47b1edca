"""The face of a runtime."""

from __future__ import annotations

from typing import Protocol

import numpy as np


class Session(Protocol):
    """A file that is open in a runtime.

    Attributes:
        runtime: The runtime's name, as in `mbv3zoo.runtimes.RUNTIMES`.
        metadata: The `ExportInfo` that the file itself holds, as JSON text; None where its format holds none.
    """

    runtime: str
    metadata: str | None

    def __call__(self, images: np.ndarray) -> list[np.ndarray]:
        """Runs the graph.

        Args:
            images: [B, C, H, W], of the type and size that the graph takes.

        Returns:
            Its outputs, in their order, as float32.
        """
