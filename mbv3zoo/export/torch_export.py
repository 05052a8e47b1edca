"""PyTorch's own exported programs, .pt2."""

from __future__ import annotations

import io
from pathlib import Path

import torch

from mbv3zoo.export.graph import DeployedNetwork
from mbv3zoo.export.tracing import tracing
from mbv3zoo.runtimes.export_info import METADATA_KEY


def write(graph: DeployedNetwork, path: Path) -> None:
    """Writes a graph as a .pt2 file, with its record as an extra file inside.

    Args:
        graph: The graph.
        path: The file.

    Raises:
        ValueError: A weight is too large for float16.
    """
    if graph.info.precision == 'float16':
        graph.to_half()
    with tracing():
        program = torch.export.export(graph, (graph.example(),), dynamic_shapes=graph.dynamic_shapes())
        # Where torch writes the file itself, a full disk ends the whole process.
        buffer = io.BytesIO()
        torch.export.save(program, buffer, extra_files={METADATA_KEY: graph.info.model_dump_json()})
    path.write_bytes(buffer.getbuffer())
