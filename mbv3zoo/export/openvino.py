"""OpenVINO IR, converted from ONNX."""

from __future__ import annotations

import tempfile
from pathlib import Path

import openvino

from mbv3zoo.export import onnx
from mbv3zoo.export.graph import DeployedNetwork
from mbv3zoo.runtimes.export_info import METADATA_KEY
from mbv3zoo.runtimes.openvino import shared_core


def write(graph: DeployedNetwork, path: Path) -> None:
    """Writes a graph as an .xml file and a .bin beside it, with its record in the metadata.

    Args:
        graph: The graph.
        path: The .xml file.
    """
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / 'model.onnx'
        onnx.write(graph, source)
        model = shared_core().read_model(source)
        model.set_rt_info(graph.info.model_dump_json(), METADATA_KEY)
        openvino.save_model(model, path, compress_to_fp16=graph.info.precision == 'float16')
