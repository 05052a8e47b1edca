"""Core ML, on .mlpackage folders; macOS only."""

from __future__ import annotations

import platform
import threading
from pathlib import Path

import coremltools
import numpy as np

from mbv3zoo.runtimes.export_info import METADATA_KEY

_UNITS = {'cpu': 'CPU_ONLY', 'gpu': 'CPU_AND_GPU', 'ane': 'CPU_AND_NE', 'all': 'ALL'}


class CoreMlSession:
    """A package open in Core ML; see `mbv3zoo.runtimes.session.Session`."""

    runtime = 'coreml'
    inputs = None

    def __init__(self, model: coremltools.models.MLModel, device: str) -> None:
        self.model = model
        self.device = device
        self.metadata = model.user_defined_metadata.get(METADATA_KEY)
        self.outputs = [output.name for output in model.get_spec().description.output]
        self._lock = threading.Lock()

    def __call__(self, images: np.ndarray) -> list[np.ndarray]:
        # Apple: an MLModel is to be used by one thread at a time.
        with self._lock:
            found = self.model.predict({'images': images.astype(np.float32)})
        return [np.asarray(found[name], np.float32) for name in self.outputs]


def open(path: Path, threads: int | None, device: str | None) -> CoreMlSession:
    """Opens a package; a device is 'cpu', 'gpu', 'ane' or 'all' (the default).

    Raises:
        NotImplementedError: This is not macOS.
    """
    if platform.system() != 'Darwin':
        raise NotImplementedError('Core ML runs on macOS only')
    if threads:
        raise ValueError(f'threads is {threads}, but Core ML chooses them itself; leave it out')
    device = (device or 'all').lower()
    unit = _UNITS.get(device)
    if unit is None:
        raise ValueError(f'device {device!r}: Core ML has {", ".join(_UNITS)}')
    return CoreMlSession(coremltools.models.MLModel(str(path), compute_units=coremltools.ComputeUnit[unit]), device)
