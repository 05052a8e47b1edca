"""TorchScript, by tracing."""

from __future__ import annotations

from pathlib import Path

import torch

from mbv3zoo.export.graph import DeployedNetwork
from mbv3zoo.export.tracing import tracing
from mbv3zoo.runtimes.export_info import METADATA_KEY


def write(graph: DeployedNetwork, path: Path) -> None:
    """Writes a graph as a .torchscript file, with its record as an extra file inside.

    Args:
        graph: The graph.
        path: The file.
    """
    with tracing():
        traced = torch.jit.freeze(torch.jit.trace(graph, graph.example()))
        torch.jit.save(traced, str(path), _extra_files={METADATA_KEY: graph.info.model_dump_json()})
