"""The process that measures: `python -m mbv3zoo.benchmark.worker job.json found.json`.

Its tasks are the functions of `_TASKS`; `mbv3zoo.benchmark.process.run_in_process` starts them.
"""

from __future__ import annotations

import gc
import json
import sys
from pathlib import Path
from typing import Any

from mbv3zoo.benchmark.measure import figures, interleave
from mbv3zoo.benchmark.memory import peak_memory_mb
from mbv3zoo.benchmark.opened import count, open_model, write_model
from mbv3zoo.benchmark.waiting import find_clock
from mbv3zoo.utils.atomic import atomic_write

# Before anything counts: runtimes choose kernels and allocate in the first ones.
_WARM_UP = 3
_LONGEST_MESSAGE = 300


def time_models(
    models: list[str], first: str, rounds: int, seconds: float, batch: int = 1, **options: Any
) -> list[dict[str, Any]]:
    """Times models in turns.

    Args:
        models: Their names and files.
        first: The one that they are compared with; it need not be among them.
        rounds, seconds: As for `mbv3zoo.benchmark.measure.interleave`.
        batch, **options: As for `mbv3zoo.benchmark.opened.open_model`.

    Returns:
        For each model the fields of its `Row` that are found here. One that fails does not stop the others.
    """
    found: list[dict[str, Any]] = [{} for _ in models]
    calls = {}
    for name, own in zip(models, found, strict=True):
        try:
            opened = open_model(name, batch=batch, **options)
            for _ in range(_WARM_UP):
                opened.call()
            parameters, gflops = count(name, opened.size)
        except Exception as error:  # any model, any runtime: each raises its own
            own['error'] = message(error)
            continue
        calls[name] = opened.call
        own |= {'size': opened.size, 'parameters': parameters, 'gflops': gflops}
    gc.collect()
    gc.disable()
    blocks = dict(zip(calls, interleave([*calls.values()], rounds, seconds, waited=find_clock()), strict=True))
    for name, own in zip(models, found, strict=True):
        if name in blocks:
            own |= figures(blocks[name], blocks.get(first), batch)
    return found


def run_once(name: str, **options: Any) -> float | None:
    """Opens one model, runs it a few times; gives the most memory that took, in 10^6 bytes."""
    opened = open_model(name, **options)
    for _ in range(_WARM_UP):
        opened.call()
    return peak_memory_mb()


def write_file(name: str, runtime: str, size: tuple[int, int], batch: int, folder: str) -> str:
    """Writes a detector's file for a runtime; gives its path."""
    return str(write_model(name, runtime, size, batch, Path(folder)))


_TASKS = {'time': time_models, 'memory': run_once, 'write': write_file}


def message(error: Exception) -> str:
    """An error in one line; of what is not meant for users, its kind too."""
    kind = '' if isinstance(error, (ValueError, ImportError)) else f'{type(error).__name__}: '
    text = ' '.join(f'{kind}{error}'.split()) or type(error).__name__
    return text if len(text) <= _LONGEST_MESSAGE else f'{text[: _LONGEST_MESSAGE - 3]}...'


def main(arguments: list[str]) -> None:
    given, found = map(Path, arguments)
    asked = json.loads(given.read_text(encoding='utf-8'))
    result = _TASKS[asked['task']](**asked['job'])
    atomic_write(found, json.dumps(result).encode('utf-8'))


if __name__ == '__main__':
    main(sys.argv[1:])
