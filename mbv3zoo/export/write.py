"""Writes a model's graph in the format that a file's name asks for."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

from mbv3zoo.export.graph import DeployedNetwork
from mbv3zoo.models.base_network import ModelNetwork
from mbv3zoo.runtimes.export_info import ExportInfo
from mbv3zoo.runtimes.table import format_of


def write_graph(detector: ModelNetwork, info: ExportInfo, path: Path) -> None:
    """Writes a model's graph, in float; what the format needs must be installed.

    Args:
        detector: The model; it is copied.
        info: What the graph takes and gives, and the record in the file.
        path: The file.

    Raises:
        ValueError: The format cannot hold the network.
    """
    writer = import_module(f'mbv3zoo.export.{format_of(path).name}')
    writer.write(DeployedNetwork(detector, info), path)
