"""Runs a task in a fresh process, and brings back what it found."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any


class ProcessFailed(Exception):
    """A process ended without a result; the message says how."""


def run_in_process(task: str, **job: Any) -> Any:
    """Runs a task of `mbv3zoo.benchmark.worker` and waits for it.

    Args:
        task: Its name there.
        **job: Its arguments, as JSON can hold them.

    Returns:
        What it gave back, as JSON holds it. It travels in a file, so that a model may print what it likes.

    Raises:
        ProcessFailed: It was killed, or ended in an error.
    """
    with tempfile.TemporaryDirectory() as folder:
        given, found = Path(folder) / 'job.json', Path(folder) / 'found.json'
        given.write_text(json.dumps({'task': task, 'job': job}), encoding='utf-8')
        # It finds modules where this process does, and -P leaves out what happens to lie in the working folder.
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
