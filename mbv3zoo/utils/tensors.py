"""Recognises torch tensors without importing torch, which exported files do not need."""

from __future__ import annotations

import sys
from typing import Any


def is_tensor(value: Any) -> bool:
    """Whether a value is a torch tensor; False if torch is not imported."""
    torch = sys.modules.get('torch')
    return torch is not None and isinstance(value, torch.Tensor)
