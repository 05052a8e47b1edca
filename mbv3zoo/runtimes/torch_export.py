"""PyTorch's exported programs, .pt2. Like any program, open only those that you trust."""

from __future__ import annotations

from pathlib import Path

import torch
import torchvision  # noqa: F401  graphs with NMS inside hold its operator

from mbv3zoo.models.modes import running
from mbv3zoo.runtimes.export_info import METADATA_KEY
from mbv3zoo.runtimes.torch_graph import TorchGraphSession


def open(path: Path, threads: int | None, device: str | None) -> TorchGraphSession:
    """Opens a file; a device is one of torch's, threads are the whole process's."""
    files = {METADATA_KEY: ''}
    # torch reads one file at a time, and makes the module with what it also traces graphs with.
    with running.changing():
        module = torch.export.load(path, extra_files=files).module()
    return TorchGraphSession(module, 'torch_export', threads, device, files[METADATA_KEY] or None)
