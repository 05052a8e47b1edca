"""Devices of PyTorch by name."""

from __future__ import annotations

import torch

from mbv3zoo.utils.text import shown


def torch_device(name: str) -> torch.device:
    """The device of a name: 'cpu', 'cuda', 'cuda:1', 'mps', or a number, which is that of a GPU.

    Raises:
        ValueError: PyTorch has no such device here.
    """
    try:
        device = torch.device(f'cuda:{name}' if name.isdecimal() else name)
        torch.zeros(1, device=device).tolist()  # nothing can be read from 'meta'
    except (RuntimeError, AssertionError, NotImplementedError, AttributeError) as error:
        raise ValueError(
            f'device {shown(name)}: PyTorch cannot use it here; expected one of {", ".join(_usable())}'
        ) from error
    return device


def _usable() -> list[str]:
    names = ['cpu']
    if torch.cuda.is_available():
        names += ['cuda', *(f'cuda:{number}' for number in range(1, torch.cuda.device_count()))]
    return names + (['mps'] if torch.backends.mps.is_available() else [])
