"""The surroundings in which graphs are traced."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch.jit import TracerWarning

from mbv3zoo.models.modes import running
from mbv3zoo.utils.quiet import without_warnings


@contextmanager
def tracing() -> Iterator[None]:
    """Context manager: no gradients, no warnings about what is intended here, and no other thread that runs networks.

    The tracer warns of sizes that become constants, which is what a file for one size needs, and torch of TorchScript's
    deprecation. While torch makes a graph, its kernels are others in the whole process.
    """
    # In this order: who waits for the warnings lets networks run.
    with without_warnings(TracerWarning, DeprecationWarning, FutureWarning), running.changing(), torch.no_grad():
        yield
