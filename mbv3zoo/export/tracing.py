"""The surroundings in which graphs are traced."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch.jit import TracerWarning


@contextmanager
def tracing() -> Iterator[None]:
    """Context manager: no gradients, and no warnings about what is intended here.

    The tracer warns of sizes that become constants, which is what a file for one size needs, and torch of TorchScript's
    deprecation.
    """
    with torch.no_grad(), warnings.catch_warnings():
        for category in (TracerWarning, DeprecationWarning, FutureWarning):
            warnings.simplefilter('ignore', category)
        yield
