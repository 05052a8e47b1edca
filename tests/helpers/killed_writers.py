"""Writers that are killed, and readers that say which version they find; see `killing`."""

import re
import tempfile
from functools import cache
from pathlib import Path
from unittest.mock import patch

import numpy as np
import onnx
import openvino
import torch
from openvino import opset13 as opset

import mbv3zoo
from mbv3zoo.export import openvino as export_openvino
from mbv3zoo.export.certificate import TOLERANCES, Certificate, read_certificate
from mbv3zoo.runtimes.export_info import METADATA_KEY
from mbv3zoo.runtimes.table import FORMATS, format_of
from mbv3zoo.saving.folder import CARD_NAME, PICTURE_NAME, all_files
from mbv3zoo.utils.atomic import current


@cache
def detector_of(version):
    """A small detector whose class names and weights, of the backbone and of the head, tell its version."""
    names = [f'name{version}', 'other']
    detector = mbv3zoo.create_detector('mbv3_yolo_small_050', class_names=names, image_size=64)
    with torch.no_grad():
        for tensor in detector.parameters():
            tensor.fill_(version + 1)
    return detector.eval()


def _versions(detector):
    backbone = {int(tensor.min()) - 1 for tensor in detector.backbone.parameters()}
    weights = {int(tensor.max()) - 1 for tensor in detector.parameters()}
    return backbone | weights | {int(detector.config.class_names[0].removeprefix('name'))}


def write_save(folder, version):
    detector_of(version).save_pretrained(folder, picture=f'picture {version}'.encode(), keep_card=False)


def write_save_warm(folder, version):
    for version in range(3):
        detector_of(version)


def read_save(folder):
    found = _versions(mbv3zoo.Detector.from_pretrained(folder))
    files = all_files(Path(folder))
    card, picture = (files[name].read_text() for name in (CARD_NAME, PICTURE_NAME))
    return found | {int(text) for text in re.findall(r'name(\d)', card) + re.findall(r'picture (\d)', picture)}


def _write_graph(path, info, version):
    """Stands in for the export of a graph, which takes seconds: a tiny one, with its version in the weights."""
    values, metadata = np.full((1, 3, 64, 64), version, np.float32), info.model_dump_json()
    if path.suffix == '.onnx':
        value = onnx.numpy_helper.from_array(values, 'weights')
        ports = [onnx.helper.make_tensor_value_info(name, 1, values.shape) for name in ('images', 'out')]
        node = onnx.helper.make_node('Add', ['images', 'weights'], ['out'])
        model = onnx.helper.make_model(onnx.helper.make_graph([node], 'graph', ports[:1], ports[1:], [value]))
        model.ir_version, model.opset_import[0].version = 8, 17
        onnx.helper.set_model_props(model, {METADATA_KEY: metadata})
        onnx.save(model, path)
    elif path.suffix == '.xml':
        images = opset.parameter(values.shape, np.float32, name='images')
        model = openvino.Model([opset.result(opset.add(images, opset.constant(values)))], [images], 'graph')
        export_openvino.save(model, path, info)
    elif path.suffix == '.param':
        layers = ['MemoryData weights 0 1 weights 0=1', 'BinaryOp add 2 1 in0 weights out0 0=0']
        path.write_text('\n'.join(['7767517', '3 3', 'Input in0 0 1 in0', *layers, '']))
        path.with_suffix('.bin').write_bytes(values[0, 0, 0, :1].tobytes())
    else:
        torch.jit.save(_Adding.of(version), str(path), _extra_files={METADATA_KEY: metadata})


class _Adding(torch.nn.Module):
    def __init__(self, version):
        super().__init__()
        self.register_buffer('weights', torch.full((1, 3, 64, 64), float(version)))

    def forward(self, images):
        return images + self.weights

    @staticmethod
    @cache
    def of(version):
        return torch.jit.trace(_Adding(version), torch.zeros(1, 3, 64, 64))


def write_export(folder, version, name):
    def write_graph(detector, info, path):
        _write_graph(path, info, version)

    def certify(detector, file, info, pictures, tolerance):
        format, limit = format_of(file).name, TOLERANCES[info.precision]
        return Certificate(info=info, format=format, runtime='', versions={}, tolerance=limit, pictures=())

    with patch.multiple('mbv3zoo.export.export', write_graph=write_graph, certify=certify):
        detector_of(version).export(Path(folder) / f'model{FORMATS[name].suffix}', overwrite=True)


def write_export_warm(folder, version, name):
    with tempfile.TemporaryDirectory() as scratch:
        for version in range(3):
            write_export(scratch, version, name)


def read_export(folder, name):
    path = Path(folder) / f'model{FORMATS[name].suffix}'
    if not current(path).exists():
        return {None}
    opened = mbv3zoo.load(path)
    (found,) = opened.session(np.zeros((1, 3, 64, 64), np.float32))
    records = opened.info, read_certificate(path).info
    return {int(found.min()), int(found.max())} | {int(record.class_names[0][-1]) for record in records}
