"""OpenVINO IR, converted from ONNX."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import onnx
import openvino

from mbv3zoo.export.graph import DeployedNetwork
from mbv3zoo.export.onnx import make_model
from mbv3zoo.export.tail import SuppressionTail
from mbv3zoo.runtimes.export_info import METADATA_KEY, ExportInfo
from mbv3zoo.runtimes.openvino import WEIGHTS_KEY, shared_core
from mbv3zoo.runtimes.parts import digest_of
from mbv3zoo.utils.disk import naming_file, temporary_folder


def write(graph: DeployedNetwork, path: Path) -> None:
    """Writes a graph as an .xml file and a .bin beside it, with its record in the metadata.

    Args:
        graph: The graph.
        path: The .xml file.
    """
    save(convert(graph), path, graph.info)


def convert(graph: DeployedNetwork | SuppressionTail) -> openvino.Model:
    """A graph as OpenVINO's model, by way of ONNX."""
    with temporary_folder() as folder:
        source = folder / 'model.onnx'
        onnx.save(make_model(graph), source)
        model = shared_core().read_model(source)
    for node in model.get_ops():
        if node.get_type_name() == 'TopK':
            # As ONNX says: of equal numbers that with the lower index first.
            node.set_attribute('stable', True)
    return model


def save(model: openvino.Model, path: Path, info: ExportInfo) -> None:
    """Writes a model as an .xml file, with its record and the SHA-256 of its weights, and the weights beside it.

    Args:
        model: The model.
        path: The .xml file.
        info: Its record.
    """
    model.set_rt_info(info.model_dump_json(), METADATA_KEY)
    # Of the length of a digest, which is known when the weights are written.
    unknown = '?' * 64
    model.set_rt_info(unknown, WEIGHTS_KEY)
    openvino.save_model(model, path, compress_to_fp16=info.precision == 'float16')
    digest = digest_of(path.with_suffix('.bin'))
    with naming_file(path):
        path.write_bytes(path.read_bytes().replace(unknown.encode(), digest.encode()))


def add_tail(path: Path, tail: SuppressionTail) -> None:
    """Puts a tail behind the maps of a file, in place; it gets the record of the tail."""
    network, behind = shared_core().read_model(path), convert(tail)
    for name in tail.input_names():
        behind.input(name).replace(network.output(name).get_node().input_value(0))
    merged = openvino.Model(behind.get_results(), network.get_parameters(), 'detector')
    replace(path, merged, tail.info)


def replace(path: Path, model: openvino.Model, info: ExportInfo) -> None:
    """As `save`, over files that the model may have been read from: its weights may still be read from them."""
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        save(model, Path(folder) / path.name, info)
        for suffix in ('.bin', '.xml'):
            os.replace(Path(folder, path.name).with_suffix(suffix), path.with_suffix(suffix))
