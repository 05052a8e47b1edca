"""The state of a run on disk: one file, replaced atomically."""

from __future__ import annotations

import io
import pickle
from pathlib import Path
from typing import Any

import torch

from mbv3zoo.utils.atomic import atomic_write

STATE_NAME = 'state.pt'


def save_state(run: Path, state: dict[str, Any]) -> None:
    """Writes tensors and plain values; the previous state is kept until the new one is on disk."""
    buffer = io.BytesIO()
    torch.save(state, buffer)
    atomic_write(run / STATE_NAME, buffer.getvalue())


def load_state(run: Path) -> dict[str, Any]:
    """Reads what `save_state` wrote, without running code from the file.

    Raises:
        ValueError: There is no such file, or it is damaged.
    """
    path = run / STATE_NAME
    if not path.is_file():
        raise ValueError(f'{run}: nothing to resume; {STATE_NAME} is not there')
    try:
        return torch.load(path, map_location='cpu', weights_only=True)
    except (RuntimeError, EOFError, pickle.UnpicklingError) as error:
        raise ValueError(f'{path}: not a state of a run, or damaged: {error}') from error
