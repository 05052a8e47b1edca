"""Memory of the training process."""

from __future__ import annotations

import ctypes

import torch

from mbv3zoo.utils.memory import peak_memory_mb

# malloc.h of glibc.
_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4


def most_memory(device: torch.device) -> float | None:
    """Most bytes that training has taken so far: reserved on a GPU, else resident in this process; None if unknown."""
    if device.type == 'cuda':
        return float(torch.cuda.max_memory_reserved(device))
    if device.type == 'mps':
        return float(torch.mps.driver_allocated_memory())
    megabytes = peak_memory_mb()
    return None if megabytes is None else megabytes * 1e6


def keep_freed_memory() -> None:
    """Makes the C library keep freed memory for the next tensors, until the process ends.

    By default glibc maps large blocks anew and returns them to the kernel when they are freed. Each step then waits for
    the kernel to map and clear the same pages for its largest activations: about 7 % of a training step on a CPU. Has
    no effect with other C libraries.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # no such function, or no such libc (Windows)
        return
    mallopt(_M_MMAP_MAX, 0)
    mallopt(_M_TRIM_THRESHOLD, -1)
