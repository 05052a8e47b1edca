"""PyTorch's exported programs, .pt2. Like any program, open only those that you trust."""

from __future__ import annotations

from pathlib import Path

import torch

from mbv3zoo.runtimes.export_info import METADATA_KEY
from mbv3zoo.runtimes.torch_graph import TorchGraphSession


def open(path: Path, threads: int | None, device: str | None) -> TorchGraphSession:
    """Opens a file; a device is one of torch's, threads are the whole process's."""
    files = {METADATA_KEY: ''}
    program = torch.export.load(path, extra_files=files)
    return TorchGraphSession(program.module(), 'torch_export', threads, device, files[METADATA_KEY] or None)
