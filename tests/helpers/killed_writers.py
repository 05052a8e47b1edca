"""Writers that are killed, and readers that say which version they find; see `killing`."""

import json
import re
import shutil
import tempfile
from dataclasses import replace
from functools import cache
from pathlib import Path
from unittest.mock import patch

import numpy as np
import onnx
import openvino
import torch
from labelled import random_pictures
from openvino import opset13 as opset

import mbv3zoo
from mbv3zoo.convert.convert import Converted, convert_checkpoint
from mbv3zoo.data.load import load_dataset
from mbv3zoo.evaluation.coco import score
from mbv3zoo.export import openvino as export_openvino
from mbv3zoo.export.certificate import TOLERANCES, Certificate, PictureParity, read_certificate
from mbv3zoo.plots.report import write_report
from mbv3zoo.runtimes.export_info import METADATA_KEY
from mbv3zoo.runtimes.parts import check_digests, parts
from mbv3zoo.runtimes.table import FORMATS, format_of
from mbv3zoo.saving.folder import CARD_NAME, PICTURE_NAME, all_files
from mbv3zoo.synth import SyntheticConfig, synthesize
from mbv3zoo.utils.atomic import atomic_write, current
from mbv3zoo.utils.store import Store
from mbv3zoo.zoo.resolve import copy_saved


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
    elif path.suffix == '.mlpackage':
        (path / 'Data').mkdir(parents=True)
        for file in (path / 'Manifest.json', path / 'Data' / 'weights'):
            file.write_text(str(version))
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
        parity = PictureParity(
            size=(64, 64), letterbox=0, boxes_compared=1, kept=0, kept_apart=0, kept_boxes_max=0, kept_scores_max=0
        )
        return Certificate(info=info, format=format, runtime='', versions={}, tolerance=limit, pictures=(parity,))

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


def _into_new(folder, write):
    """Writes into the new folder `out`: one that a killed writer has finished is taken away, as a user would."""
    out = Path(folder) / 'out'
    if read_new(folder) != {None}:
        shutil.rmtree(out)
    write(out)


def read_new(folder, *sources):
    """As `read_save`, of the folder `out`; it holds no detector until it is written."""
    try:
        files = all_files(Path(folder) / 'out')
    except ValueError:
        return {None}
    assert set(files) >= {CARD_NAME}
    return _versions(mbv3zoo.Detector.from_pretrained(Path(folder) / 'out'))


def write_converted(folder, version):
    checkpoint = Converted(detector_of(version), None)
    with patch('mbv3zoo.convert.convert.load_yolov5', lambda path, license: checkpoint):
        _into_new(folder, lambda out: convert_checkpoint('a.pt', out))


write_converted_warm = write_save_warm


def write_pulled(folder, version, sources):
    _into_new(folder, lambda out: copy_saved(Path(sources) / str(version), out))


def write_pulled_warm(folder, version, sources):
    for version in range(3):
        write_save(Path(sources) / str(version), version)


def write_synthetic(folder, version):
    out = Path(folder) / 'out'
    if out.exists():
        shutil.rmtree(out)
    synthesize(out, SyntheticConfig(train=2, val=1, image_size=64 + 32 * version, workers=1))


def write_synthetic_warm(folder, version):
    with tempfile.TemporaryDirectory() as scratch:
        write_synthetic(scratch, version)


def read_synthetic(folder):
    out = Path(folder) / 'out'
    if not out.exists():
        return {None}
    train, val = load_dataset(out, 'train'), load_dataset(out, 'val')
    coco = load_dataset(out / 'annotations' / 'val.json', 'val', out / 'images' / 'val')
    assert [len(train), len(val), len(coco)] == [2, 1, 1]
    return {max(record.size) // 32 - 2 for part in (train, val, coco) for record in part.records}


def write_evaluated(folder, version):
    data, detections = random_pictures(0, images=1)
    evaluation = score(data, detections)
    evaluation = evaluation._replace(metrics=replace(evaluation.metrics, ap=float(version)))

    def draw(*arguments):
        atomic_write(arguments[-1], str(version).encode())

    names = 'plot_precision_recall', 'plot_f1', 'plot_confusion', 'plot_predictions'
    with patch.multiple('mbv3zoo.plots.report', **dict.fromkeys(names, draw)):
        write_report(evaluation, data, folder)


def write_evaluated_warm(folder, version):
    with tempfile.TemporaryDirectory() as scratch:
        write_evaluated(scratch, version)


def read_evaluated(folder):
    names = 'pr_curve.png', 'f1_curve.png', 'confusion_matrix.png', 'predictions.png', 'metrics.json'
    *pictures, metrics = (current(Path(folder) / name).read_text() for name in names)
    return {int(picture) for picture in pictures} | {int(json.loads(metrics)['ap'])}


def write_package(folder, version):
    write_export(folder, version, 'coreml')


def write_package_warm(folder, version):
    with tempfile.TemporaryDirectory() as scratch:
        write_package(scratch, version)
        for version in range(3):
            detector_of(version)


def read_package(folder):
    """Core ML itself is on macOS only."""
    path = Path(folder) / 'model.mlpackage'
    check_digests(path)
    (place,) = parts(path).values()
    files = [place / 'Manifest.json', place / 'Data' / 'weights']
    return {int(file.read_text()) for file in files} | {int(read_certificate(path).info.class_names[0][-1])}


def _store(folder):
    """A store with room for one entry."""
    with patch.dict('os.environ', MBV3ZOO_CACHE=str(folder)):
        store = Store('graphs')
    store.most_bytes = 2000
    return store


def write_kept(folder, version):
    with tempfile.TemporaryDirectory() as scratch:
        files = {name: Path(scratch) / name for name in ('model.xml', 'model.bin')}
        for file in files.values():
            file.write_bytes(bytes([version]) * 600)
        # The first one makes room for the second.
        for key in ('a' * 64, 'b' * 64):
            assert _store(folder).keep(key, files, {})


def read_kept(folder):
    entry = _store(folder).find('b' * 64)
    return {data for name in ('model.xml', 'model.bin') for data in (entry / name).read_bytes()} if entry else {None}
