"""TorchScript files. Like any program, open only those that you trust."""

from __future__ import annotations

from pathlib import Path

import torch
import torchvision  # noqa: F401  graphs with NMS inside hold its operator

from mbv3zoo.runtimes.export_info import METADATA_KEY
from mbv3zoo.runtimes.torch_graph import TorchGraphSession
from mbv3zoo.utils.quiet import without_warnings


def open(path: Path, threads: int | None, device: str | None) -> TorchGraphSession:
    """Opens a file; a device is one of torch's, threads are the whole process's."""
    files = {METADATA_KEY: ''}
    with without_warnings(DeprecationWarning, FutureWarning):
        module = torch.jit.load(str(path), map_location=device or 'cpu', _extra_files=files)
    # Empty where it holds none.
    return TorchGraphSession(module, 'torchscript', threads, device, _text(files[METADATA_KEY]))


def _text(value: str | bytes) -> str | None:
    return (value.decode('utf-8') if isinstance(value, bytes) else value) or None
