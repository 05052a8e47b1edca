"""A detector on the meta device has shapes and no numbers: what would need them is refused."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn


def check_has_weights(network: nn.Module, done: str) -> None:
    """Refuses a network of which a parameter or buffer is on the meta device.

    Args:
        network: The network.
        done: What it cannot be, for the message: 'saved', 'exported', ...

    Raises:
        ValueError: One is; it is named.
    """
    parts = chain(network.named_parameters(), network.named_buffers())
    if (name := next((name for name, tensor in parts if tensor.is_meta), None)) is not None:
        raise ValueError(
            f'a detector without weights cannot be {done}: {name} is on the meta device, which holds no numbers; '
            "create the detector without device='meta'"
        )
