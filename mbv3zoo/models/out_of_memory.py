"""Tells that memory ran out from other errors."""

from __future__ import annotations

import sys

# What torch's CPU allocator (on Linux; on Windows), MPS, cuDNN and the C++ library say, in a plain RuntimeError.
_OUT_OF_MEMORY = ("can't allocate memory", 'not enough memory', 'out of memory', 'ALLOC_FAILED', 'bad_alloc')


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out, on a GPU or on the CPU, which says nothing about sizes."""
    says_so = any(text in str(error) for text in _OUT_OF_MEMORY)
    torch = sys.modules.get('torch')
    own = (torch.OutOfMemoryError,) if torch else ()
    return says_so or isinstance(error, (*own, MemoryError))
