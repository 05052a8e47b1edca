"""The types that a detector's weights may have."""

from __future__ import annotations

from typing import Any

import torch

from mbv3zoo.utils.text import shown

# Types of 8 bits and less are left out: their rounding alone changes what a detector finds.
DTYPES = (torch.float16, torch.bfloat16, torch.float32, torch.float64)


def parse_dtype(value: Any, what: str = 'dtype') -> torch.dtype:
    """A type of floating point weights.

    Args:
        value: torch's type, or its name: 'float16', 'torch.float16', 'half', 'bfloat16', 'float32', 'float64', ...
        what: What it is given as, for the message.

    Raises:
        ValueError: It is something else: integers, say, would make nearly all weights 0.
    """
    found = getattr(torch, value.removeprefix('torch.'), None) if isinstance(value, str) else value
    if isinstance(found, torch.dtype) and found in DTYPES:
        return found
    names = ', '.join(map(dtype_name, DTYPES))
    given = str(value) if isinstance(value, torch.dtype) else shown(value)
    raise ValueError(f'{what} must be one of {names}, as torch.dtype or by its name; given {given}')


def dtype_name(dtype: torch.dtype) -> str:
    """'float16' for `torch.float16`."""
    return str(dtype).removeprefix('torch.')


def computes_bfloat16(device: torch.device) -> bool:
    """Whether a device computes in bfloat16 at least as fast as in float32.

    Processors without AVX-512 take 5 to 40 times as long for products of matrices.
    """
    if device.type == 'cpu':
        return torch.backends.cpu.get_cpu_capability().startswith('AVX512')
    return device.type != 'cuda' or torch.cuda.is_bf16_supported(including_emulation=False)
