"""The surroundings in which graphs are traced."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import torch
from torch.jit import TracerWarning
from torch.nn import functional

from mbv3zoo.models.modes import running
from mbv3zoo.utils.quiet import without_warnings

_attention = functional.scaled_dot_product_attention


@contextmanager
def tracing() -> Iterator[None]:
    """Context manager: no gradients, no warnings about what is intended here, and no other thread that runs networks.

    The tracer warns of sizes that become constants, which is what a file for one size needs, and torch of TorchScript's
    deprecation. While torch makes a graph, its kernels are others in the whole process.
    """
    # In this order: who waits for the warnings lets networks run.
    quiet, flat = without_warnings(TracerWarning, DeprecationWarning, FutureWarning), _flat_attention
    with quiet, running.changing(), torch.no_grad(), patch.object(functional, _attention.__name__, flat):
        yield


def _flat_attention(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
    """Attention in four dimensions, as ONNX has it, also of heads with windows, or one with the batch."""
    parts = [query, key, value, *args]
    if query.dim() == 3:
        parts, kwargs = [_lifted(part) for part in parts], {name: _lifted(part) for name, part in kwargs.items()}
    elif query.dim() == 5 and not args and kwargs.get('attn_mask') is None:
        parts = [part.flatten(0, 1) for part in parts]
    else:
        return _attention(*parts, **kwargs)
    return _attention(*parts, **kwargs).reshape(*query.shape[:-1], value.shape[-1])


def _lifted(value: Any) -> Any:
    return value[None] if isinstance(value, torch.Tensor) else value
