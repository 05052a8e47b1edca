"""Runs a task in a new process and returns its result."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

from mbv3zoo.utils.disk import temporary_folder

# What JSON can hold.
Json = str | int | float | None | Sequence['Json']


class ProcessFailed(Exception):
    """A process ended without a result; the message says how."""


def run_in_process(task: str, **job: Json) -> Any:
    """Runs a task of `mbv3zoo.benchmark.worker` and waits for it.

    Args:
        task: Name of the task.
        **job: Its arguments.

    Returns:
        The task's result, as JSON holds it. It travels in a file, so that models may print.

    Raises:
        ProcessFailed: The process was killed, or ended in an error.
    """
    with temporary_folder() as folder:
        given, found = folder / 'job.json', folder / 'found.json'
        given.write_text(json.dumps({'task': task, 'job': job}), encoding='utf-8')
        # It finds modules where this process does; -P leaves out files that happen to lie in the working folder.
        command = [sys.executable, '-P', '-m', 'mbv3zoo.benchmark.worker', str(given), str(found)]
        paths = os.pathsep.join(path or os.getcwd() for path in sys.path)
        done = subprocess.run(
            command,
            env={**os.environ, 'PYTHONPATH': paths},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors='replace',
        )
        if found.is_file():
            return json.loads(found.read_text(encoding='utf-8'))
    how = f'was killed by signal {-done.returncode}' if done.returncode < 0 else f'ended with code {done.returncode}'
    said = done.stdout.strip().rpartition('\n')[2].strip()
    raise ProcessFailed(f'its process {how}' + (f': {said}' if said else ''))
