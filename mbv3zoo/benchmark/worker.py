"""The process that measures: `python -m mbv3zoo.benchmark.worker job.json found.json`.

Its tasks are the functions in `_TASKS`, started by `mbv3zoo.benchmark.process.run_in_process`.
"""

from __future__ import annotations

import gc
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mbv3zoo.benchmark.measure import figures, interleave
from mbv3zoo.benchmark.opened import count, open_model, write_model
from mbv3zoo.benchmark.waiting import find_clock
from mbv3zoo.utils.atomic import atomic_write
from mbv3zoo.utils.memory import peak_memory_mb

# Calls before any counts: in the first ones runtimes choose kernels and allocate memory.
_WARM_UP = 3
_LONGEST_MESSAGE = 300


def time_models(
    models: list[str],
    first: str,
    *,
    runtime: str,
    size: tuple[int, int] | None = None,
    batch: int = 1,
    rounds: int,
    seconds: float,
    threads: int | None = None,
    device: str | None = None,
) -> list[dict[str, Any]]:
    """Times models in alternation.

    Args:
        models: Names and files.
        first: The model that they are compared with; it need not be among them.
        runtime, size, batch, threads, device: As for `mbv3zoo.benchmark.opened.open_model`.
        rounds, seconds: As for `mbv3zoo.benchmark.measure.interleave`.

    Returns:
        Per model the fields of its `Row` that are measured here. A model that fails does not stop the others.
    """
    found: list[dict[str, Any]] = [{} for _ in models]
    calls = {}
    for name, own in zip(models, found, strict=True):
        try:
            opened = open_model(name, runtime=runtime, size=size, batch=batch, threads=threads, device=device)
            for _ in range(_WARM_UP):
                opened.call()
            parameters, gflops = count(name, opened.size)
        except Exception as error:  # each runtime raises its own
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


def run_once(
    name: str,
    *,
    runtime: str,
    size: tuple[int, int] | None = None,
    batch: int = 1,
    threads: int | None = None,
    device: str | None = None,
) -> float | None:
    """Opens one model and runs it a few times; returns the peak memory of that in 10^6 bytes.

    Args:
        name, runtime, size, batch, threads, device: As for `mbv3zoo.benchmark.opened.open_model`.
    """
    opened = open_model(name, runtime=runtime, size=size, batch=batch, threads=threads, device=device)
    for _ in range(_WARM_UP):
        opened.call()
    return peak_memory_mb()


def write_file(name: str, runtime: str, size: tuple[int, int], batch: int, folder: str) -> str:
    """Writes a detector's file for a runtime; returns its path."""
    return str(write_model(name, runtime, size, batch, Path(folder)))


_TASKS: dict[str, Callable[..., Any]] = {'time': time_models, 'memory': run_once, 'write': write_file}


def message(error: Exception) -> str:
    """An error in one line, with its type where its text is not meant for users."""
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
