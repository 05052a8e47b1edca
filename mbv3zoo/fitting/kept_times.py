"""Measured times of units in the user's cache, one file for each runtime, version, processor and number of threads."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from mbv3zoo.utils.cores import cpu_name
from mbv3zoo.utils.disk import temporary_folder
from mbv3zoo.utils.packages import installed_version
from mbv3zoo.utils.store import Store
from mbv3zoo.utils.text import read_text

_FILE = 'times.json'
# Changes with how times are measured.
_VERSION = 1
_Times = TypeAdapter(dict[str, float])


class KeptTimes:
    """Times of units on this machine.

    Args:
        runtime: Name of the runtime.
        threads: Threads per call; None where the runtime chooses.
        precision: 'float32' or 'int8'.

    Attributes:
        about: What the times are of: runtime and its version, processor, threads, precision.
        times: Milliseconds by what was measured.
    """

    def __init__(self, runtime: str, threads: int | None, precision: str) -> None:
        self.about: dict[str, Any] = {
            'runtime': runtime,
            'version': installed_version(runtime),
            'processor': cpu_name(),
            'threads': threads,
            'precision': precision,
            'measured_as': _VERSION,
        }
        self.times: dict[str, float] = self._read()

    def write(self) -> None:
        """Keeps the times for the next process."""
        with temporary_folder() as folder:
            path = Path(folder) / _FILE
            path.write_text(json.dumps(self.times), encoding='utf-8')
            Store('latency').keep(self._key(), {_FILE: path}, self.about)

    def _key(self) -> str:
        return hashlib.sha256(json.dumps(self.about, sort_keys=True).encode()).hexdigest()

    def _read(self) -> dict[str, float]:
        entry = Store('latency').find(self._key())
        try:
            return {} if entry is None else _Times.validate_json(read_text(entry / _FILE), strict=True)
        except ValueError:  # it is measured again
            return {}
