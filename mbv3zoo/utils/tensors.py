"""Telling torch's tensors apart without importing torch: what predicts with an exported file does without it."""

from __future__ import annotations

import sys
from typing import Any


def is_tensor(value: Any) -> bool:
    """Whether a value is a torch tensor; where nobody has imported torch, nothing is."""
    torch = sys.modules.get('torch')
    return torch is not None and isinstance(value, torch.Tensor)
