"""Recognises torch tensors without importing torch, which exported files do not need; and tensors by their names."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from typing import Any


def is_tensor(value: Any) -> bool:
    """Whether a value is a torch tensor; False if torch is not imported."""
    torch = sys.modules.get('torch')
    return torch is not None and isinstance(value, torch.Tensor)


def match_names(wrapped: Iterable[str], whole: Iterable[str]) -> dict[str, str | None]:
    """Names of a feature extractor's tensors -> their names in the whole model, or None."""
    # Wrappers put the model under 'model.' or 'body.', or flatten names: 'stages.0' becomes 'stages_0'.
    own = {name.replace('.', '_'): name for name in whole}
    return {name: own.get(re.sub(r'^(model|body)\.', '', name).replace('.', '_')) for name in wrapped}
