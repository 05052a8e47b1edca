"""Memory of the training process."""

from __future__ import annotations

import ctypes

# malloc.h of glibc.
_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4


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
