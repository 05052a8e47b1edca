"""Detectors without weights that say anything: on the meta device, with no numbers, or untrained, with random ones."""

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


def is_untrained(network: nn.Module) -> bool:
    """Whether no BatchNorm of a network, or of a part of it, has seen an image: its weights are those of its creation.

    Args:
        network: Not folded, as that has no BatchNorms left; then nothing is known, and False is returned.
    """
    from torch.nn.modules.batchnorm import _BatchNorm

    norms = [part for part in network.modules() if isinstance(part, _BatchNorm)]
    means = [norm.running_mean for norm in norms if norm.running_mean is not None]
    return bool(means) and not any(mean.any() for mean in means)
