"""The interface that every runtime implements, and the function that opens a file in one."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from mbv3zoo.runtimes.graph_input import GraphInput
from mbv3zoo.runtimes.parts import check_digests, parts
from mbv3zoo.runtimes.table import RUNTIMES, SUFFIXES, runtimes_for
from mbv3zoo.utils.cores import own_cores, usable_cores
from mbv3zoo.utils.sizes import MOST_THREADS, whole_number
from mbv3zoo.utils.text import shown


class Session(Protocol):
    """A file that is open in a runtime; any number of threads may call it at once.

    Attributes:
        runtime: The runtime's name, as in `mbv3zoo.runtimes.table.RUNTIMES`.
        metadata: The `ExportInfo` that the file itself holds, as JSON text; None where its format holds none.
    """

    runtime: str
    metadata: str | None

    @property
    def device(self) -> object:
        """What it runs on, as `open_session` takes it; its text is shown."""

    @property
    def inputs(self) -> Sequence[GraphInput] | None:
        """Inputs of the graph; None where the runtime does not tell."""

    def __call__(self, images: np.ndarray) -> list[np.ndarray]:
        """Runs the graph.

        Args:
            images: [B, C, H, W], of the type and size that the graph takes.

        Returns:
            Its outputs, in their order, as float32.
        """


def check_resources(threads: Any, device: Any) -> None:
    """Raises ValueError where threads are no number in 1..1024, or a device is no name; None is for both none."""
    if threads is not None:
        whole_number(threads, 'threads', 1, MOST_THREADS)
    if device is not None and not (isinstance(device, str) and device):
        raise ValueError(f"device is {shown(device)}; expected its name, such as 'cpu'")


def open_session(
    path: str | Path, runtime: str | None = None, *, threads: int | None = None, device: str | None = None
) -> Session:
    """Opens an exported file.

    Args:
        path: The file (of ncnn's two the .param), or folder.
        runtime: A name in `mbv3zoo.runtimes.table.RUNTIMES`; None takes the first for this suffix that is installed.
        threads: Threads per call; None leaves the number to the runtime, where no quota is on this process: runtimes
            know of affinity, and not of the quotas of containers.
        device: As the runtime names it, such as 'cpu', 'cuda' (ONNX Runtime, torch), 'GPU' or 'NPU' (OpenVINO).

    Raises:
        ValueError: There is no such file, no runtime opens it, or this one does not; or the file is another than its
            certificate was written for.
        ImportError: The runtime is not installed.
        NotImplementedError: The runtime is for another system.
    """
    path = Path(path)
    able = runtimes_for(path)
    if not able:
        raise ValueError(f'{path}: not a file that a runtime opens; expected one that ends in {", ".join(SUFFIXES)}')
    files = list(parts(path).values())
    if not files[0].exists():
        raise ValueError(f'{path}: there is no such file')
    if runtime is not None and runtime not in able:
        raise ValueError(f'{path}: runtime {runtime!r} does not open it; expected {" or ".join(able)}')
    check_resources(threads, device)
    name = runtime or next((name for name in able if RUNTIMES[name].is_installed()), able[0])
    RUNTIMES[name].require(f'{path}: the runtime {name}')
    check_digests(path)
    module = import_module(f'mbv3zoo.runtimes.{name}')
    if threads is None and RUNTIMES[name].package != 'torch' and (device or 'cpu').lower().startswith('cpu'):
        threads = _limit()
    try:
        # Of two files each may lie elsewhere: the runtime asks for both.
        return module.open(path if len(files) > 1 else files[0], threads, device)
    except (ValueError, ImportError, NotImplementedError):
        raise
    except Exception as error:  # each runtime raises its own
        raise ValueError(f'{path}: {name} cannot open it: {error}') from error


def _limit() -> int | None:
    """Number of cores that the quota on this process leaves; None where there is no lower one than its affinity."""
    cores = usable_cores()
    return cores if cores < own_cores() else None
