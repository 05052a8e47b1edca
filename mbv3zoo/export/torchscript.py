"""TorchScript, by tracing."""

from __future__ import annotations

import io
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

    Raises:
        ValueError: A weight is too large for float16.
    """
    if graph.info.precision == 'float16':
        graph.to_half()
    with tracing():
        traced = torch.jit.freeze(torch.jit.trace(graph, graph.example()))
        data = saved_graph(traced, {METADATA_KEY: graph.info.model_dump_json()})
    path.write_bytes(data)


def saved_graph(graph: torch.jit.ScriptModule, more: dict[str, str] | None = None) -> bytes:
    """The bytes of a .torchscript file. Where torch writes the file itself, a full disk ends the whole process.

    Args:
        graph: The graph.
        more: Name -> text of extra files inside.
    """
    buffer = io.BytesIO()
    torch.jit.save(graph, buffer, _extra_files=more)
    return buffer.getvalue()
