"""The state of a run on disk: one file, replaced atomically, and checked before it is trusted."""

from __future__ import annotations

import io
import pickle
import shlex
import zipfile
from pathlib import Path
from typing import Any

import torch

from mbv3zoo.utils.atomic import atomic_write, current
from mbv3zoo.utils.text import one_line

STATE_NAME = 'state.pt'


def save_state(run: Path, state: dict[str, Any]) -> None:
    """Writes tensors and plain values; the previous state is kept until the new one is on disk."""
    buffer = io.BytesIO()
    torch.save(state, buffer)
    atomic_write(run / STATE_NAME, buffer.getvalue())


def load_state(run: Path) -> dict[str, Any]:
    """Reads what `save_state` wrote, without running code from the file. Every byte of it is checked.

    Raises:
        ValueError: There is no such file, or it is damaged.
    """
    path = current(run / STATE_NAME)
    if not path.exists():
        raise ValueError(f'{run}: nothing to resume; {STATE_NAME} is not there')
    try:
        _check_archive(path)
        state = torch.load(path, map_location='cpu', weights_only=True)
    except pickle.UnpicklingError as error:
        # torch's own text explains how to run the code that it has refused.
        raise damaged_state(run, 'it holds more than tensors and plain values') from error
    except OSError as error:
        raise damaged_state(run, f'it cannot be read ({error.strerror})') from error
    except Exception as error:  # zipfile and torch raise anything for a file that neither of them wrote
        raise damaged_state(run, one_line(str(error), 120) or type(error).__name__) from error
    if not isinstance(state, dict):
        raise damaged_state(run, f'it holds a {type(state).__name__}')
    return state


def damaged_state(run: Path, fault: str) -> ValueError:
    """An error that names the state of a run, what is wrong with it, and what can be done."""
    return ValueError(f'{run / STATE_NAME}: not a state of a run, or damaged: {fault}; {from_last(run)}')


def from_last(run: Path) -> str:
    """What can be done where a run cannot go on: a new one is started from its last weights."""
    last = shlex.quote(str(run / 'last'))
    return (
        f'the run cannot go on, but a new one can start from its last weights: mbv3zoo train --model {last} --data ...'
    )


def _check_archive(path: Path) -> None:
    """Raises an error where bytes of a state have changed: torch does not look at the checksums."""
    with zipfile.ZipFile(path) as file:
        parts = file.infolist()
        # torch compresses nothing, and compressed parts could be of any size.
        if any(part.compress_type != zipfile.ZIP_STORED for part in parts):
            raise zipfile.BadZipFile('its parts are compressed')
        if sum(part.file_size for part in parts) > path.stat().st_size:
            raise zipfile.BadZipFile('its parts are larger than the file')
        if (changed := file.testzip()) is not None:
            raise zipfile.BadZipFile(f'its part {changed} has changed since it was written')
