"""Which detector the folder of a training run means: its `best/`."""

from __future__ import annotations

import logging
import os
from functools import lru_cache
from pathlib import Path

from mbv3zoo.saving.folder import CONFIG_NAME, HEAD_NAME, LOADED_NAMES
from mbv3zoo.utils.atomic import current

_logger = logging.getLogger(__name__)

# What a training run has in its folder from its first second, and those of its weights.
_RUN_NAME = 'run.yaml'
_BEST, _LAST = 'best', 'last'


def detector_folder(path: Path) -> Path:
    """The folder of the detector that a path on this disk means.

    Args:
        path: A detector's folder or a file of its in there, the folder of a training run, or anything else.

    Returns:
        The detector's folder: `best/` of a run; what is no run is returned as it is.

    Raises:
        ValueError: The run has no best weights yet, or it is a folder of runs; what to give instead is named.
    """
    if path.name in LOADED_NAMES and path.is_file() and _has(path.parent, HEAD_NAME):
        return path.parent
    if not path.is_dir() or _has(path, CONFIG_NAME):
        return path
    if _has(path / _BEST, CONFIG_NAME):
        _tell(path / _BEST, path)
        return path / _BEST
    if _is_run(path):
        last = path / _LAST
        advice = f'give {last} for the weights of its last epoch' if _has(last, CONFIG_NAME) else 'nor any others'
        raise ValueError(
            f'{path}: this training run has no best weights, as it was not evaluated yet; {advice}, or go on with it: '
            f'mbv3zoo train --resume {path}'
        )
    if newest := newest_run(path):
        raise ValueError(f'{path} is a folder of training runs: give one of them, such as the newest, {newest}')
    return path


def newest_run(folder: Path) -> Path | None:
    """The run in a folder of runs that was written to last, rather one with best weights; None where there is none."""
    # Unlike Path.is_dir, it takes a name of any length.
    runs = [path for path in folder.iterdir() if path.is_dir() and _is_run(path)] if os.path.isdir(folder) else []
    return max(runs, key=lambda run: (_has(run / _BEST, CONFIG_NAME), run.stat().st_mtime, run.name), default=None)


def _is_run(path: Path) -> bool:
    return (path / _RUN_NAME).is_file() or any(_has(path / name, CONFIG_NAME) for name in (_BEST, _LAST))


def _has(folder: Path, name: str) -> bool:
    return current(folder / name).is_file()


@lru_cache(maxsize=32)
def _tell(best: Path, run: Path) -> None:
    """Logs, once, which weights of a run are taken."""
    _logger.info('%s is a training run: %s is taken, its best weights', run, best)
