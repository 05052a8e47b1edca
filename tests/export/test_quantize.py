"""Exported files in int8."""

import logging
import os
import shutil

import numpy as np
import onnx
import pytest
from PIL import Image
from tiny_sets import write_yolo_set

from mbv3zoo import create_detector
from mbv3zoo.export import onnx as onnx_format
from mbv3zoo.export import openvino as openvino_format
from mbv3zoo.export.graph import DeployedNetwork
from mbv3zoo.export.quantize import calibration_pixels, quantize
from mbv3zoo.runtimes.export_info import ExportInfo
from mbv3zoo.runtimes.exported_detector import ExportedDetector
from mbv3zoo.runtimes.openvino import shared_core
from mbv3zoo.utils import packages
from mbv3zoo.version import __version__

openvino = pytest.importorskip('openvino')
pytest.importorskip('nncf')
pytest.importorskip('onnxruntime')

SIZE = (64, 64)
WRITERS = {'.onnx': onnx_format.write, '.xml': openvino_format.write}
# Mean difference of a map's logits, as a share of their standard deviation: measured are 0.02 to 0.09.
BOUND = 0.2


@pytest.fixture(scope='module')
def detector():
    return create_detector('mbv3_yolo_small.synth', pretrained=True)


@pytest.fixture(scope='module')
def pixels(tmp_path_factory):
    folder = tmp_path_factory.mktemp('set')
    write_yolo_set(folder, {'train': 8})
    info = _info(create_detector('mbv3_yolo_small.synth'))
    return calibration_pixels(folder, 'train', info)


@pytest.fixture(scope='module')
def put_float_file(detector, tmp_path_factory):
    """A function that puts the detector's float file at a path. Each format is written once, and copied."""
    folder = tmp_path_factory.mktemp('float')

    def put(path):
        written = folder / f'float{path.suffix}'
        if not written.exists():
            WRITERS[path.suffix](DeployedNetwork(detector, _info(detector)), written)
        for suffix in ('.xml', '.bin') if path.suffix == '.xml' else ('.onnx',):
            shutil.copy(written.with_suffix(suffix), path.with_suffix(suffix))

    return put


@pytest.fixture(scope='module', params=['.onnx', '.xml'])
def pair(request, detector, pixels, put_float_file, tmp_path_factory):
    """The float file and its int8 version."""
    folder = tmp_path_factory.mktemp('int8')
    before, after = folder / f'float{request.param}', folder / f'int8{request.param}'
    for path in (before, after):
        put_float_file(path)
    quantize(after, _info(detector), pixels)
    return before, after


def _info(detector, **settings):
    config = detector.config.model_copy(update={'image_size': SIZE})
    return ExportInfo.of(config, detector.strides, __version__, **settings)


def test_maps_stay_close_to_float(pair, pixels):
    before, after = (ExportedDetector.open(path, threads=1) for path in pair)
    for picture in pixels[:3]:
        for ours, theirs in zip(before.run(picture), after.run(picture), strict=True):
            assert theirs.dtype == np.float32
            assert np.abs(ours - theirs).mean() < BOUND * ours.std()


def test_record_is_kept_and_says_int8(pair, detector):
    info = ExportedDetector.open(pair[1], threads=1).info
    assert info == _info(detector, precision='int8')


def test_most_convolutions_are_int8_and_the_file_is_small(pair):
    before, after = pair
    weights = before.with_suffix('.bin') if before.suffix == '.xml' else before
    smaller = after.with_suffix('.bin') if after.suffix == '.xml' else after
    assert smaller.stat().st_size < 0.55 * weights.stat().st_size
    int8, convolutions = _count_int8(after)
    # All but the three of the head, two of each of nine squeeze-excites and, for OpenVINO, the eleven depthwise ones;
    # for ONNX the first two.
    assert convolutions - int8 == 3 + 2 * 9 + (11 if after.suffix == '.xml' else 2)


def test_no_other_files_are_left(pair):
    suffixes = sorted(path.suffix for path in pair[1].parent.iterdir())
    assert suffixes == (['.bin', '.bin', '.xml', '.xml'] if pair[1].suffix == '.xml' else ['.onnx', '.onnx'])


@pytest.mark.parametrize('suffix', ['.onnx', '.xml'])
def test_another_backbone_in_any_size_and_batch(suffix, tmp_path, pixels):
    detector = create_detector('mbv3_yolo_small_minimal', num_classes=2)
    path = tmp_path / f'model{suffix}'
    WRITERS[suffix](DeployedNetwork(detector, _info(detector)), path)
    _free_sizes(path)
    quantize(path, _info(detector, dynamic=True), pixels[:2])
    int8, convolutions = _count_int8(path)
    # All but the three of the head and, for OpenVINO, the depthwise ones; for ONNX the first two.
    assert convolutions - int8 == 3 + (11 if suffix == '.xml' else 2)
    maps = ExportedDetector.open(path, threads=1).run(np.zeros((2, 3, 96, 64), np.uint8))
    assert [x.shape for x in maps] == [(2, 21, 12, 8), (2, 21, 6, 4), (2, 21, 3, 2)]
    assert all(np.isfinite(x).all() for x in maps)


def test_batches_are_filled_up(tmp_path, detector, pixels):
    info = _info(detector, batch_size=2)
    path = tmp_path / 'model.onnx'
    onnx_format.write(DeployedNetwork(detector, info), path)
    quantize(path, info, pixels[:3])
    assert ExportedDetector.open(path, threads=1).run(pixels[0])[0].shape[0] == 1


@pytest.mark.parametrize('suffix', ['.onnx', '.xml'])
def test_silent_and_leaves_logging_as_it_was(suffix, tmp_path, detector, pixels, put_float_file, capfd):
    path = tmp_path / f'model{suffix}'
    put_float_file(path)
    levels = logging.root.manager.disable, os.environ.get('NNCF_CI')
    capfd.readouterr()
    quantize(path, _info(detector), pixels[:2])
    assert capfd.readouterr() == ('', '')
    assert (logging.root.manager.disable, os.environ.get('NNCF_CI')) == levels


@pytest.mark.parametrize(
    ('given', 'expected'),
    [
        ([], 'no pictures'),
        ([np.zeros((1, 3, 64, 96), np.uint8)], r'picture 0 .*\(1, 3, 64, 96\); expected uint8 \(1, 3, 64, 64\)'),
        ([np.zeros((1, 3, 64, 64), np.float32)], 'float32'),
    ],
)
def test_pictures_that_do_not_fit(given, expected, tmp_path, detector):
    path = tmp_path / 'model.onnx'
    path.write_bytes(b'untouched')
    with pytest.raises(ValueError, match=expected):
        quantize(path, _info(detector), given)
    assert path.read_bytes() == b'untouched'


def test_formats_and_graphs_without_int8(tmp_path, detector, pixels):
    with pytest.raises(ValueError, match='torchscript files cannot be int8'):
        quantize(tmp_path / 'model.torchscript', _info(detector), pixels)
    suppresses = _info(detector, outputs='detections', score_thresh=0.25, iou_thresh=0.45, max_detections=300)
    with pytest.raises(ValueError, match='export it without nms'):
        quantize(tmp_path / 'model.onnx', suppresses, pixels)


def test_missing_package_is_named(tmp_path, detector, pixels, monkeypatch):
    monkeypatch.setattr(packages, 'is_installed', lambda name: name != 'nncf')
    with pytest.raises(ImportError, match=r'nncf.*pip install "mbv3zoo\[export\]"'):
        quantize(tmp_path / 'model.xml', _info(detector), pixels)


def test_calibration_from_a_data_set_takes_its_training_split(tmp_path, detector):
    write_yolo_set(tmp_path, {'train': 5, 'val': 2})
    found = calibration_pixels(tmp_path, 'val', _info(detector))
    assert len(found) == 5
    assert {(x.shape, x.dtype.name) for x in found} == {((1, 3, 64, 64), 'uint8')}


def test_calibration_draws_alike_each_time(tmp_path, detector):
    write_yolo_set(tmp_path, {'val': 6})
    first, again, other = (calibration_pixels(tmp_path, 'val', _info(detector), 3, seed) for seed in (0, 0, 1))
    assert len(first) == 3
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_calibration_from_a_folder_of_pictures(tmp_path, detector):
    for i in range(3):
        Image.new('RGB', (90, 60), (i, 0, 0)).save(tmp_path / f'{i}.png')
    (tmp_path / 'damaged.jpg').write_bytes(b'no picture')
    with pytest.warns(UserWarning, match=r'1 of 4 images are left out of the calibration: cannot read .*damaged\.jpg'):
        assert len(calibration_pixels(tmp_path, 'val', _info(detector))) == 3


def test_calibration_without_pictures(tmp_path, detector):
    with pytest.raises(ValueError, match='data set or a folder of pictures'):
        calibration_pixels(tmp_path, 'val', _info(detector))
    (tmp_path / 'damaged.jpg').write_bytes(b'no picture')
    with pytest.raises(ValueError, match='can be read'):
        calibration_pixels(tmp_path, 'val', _info(detector))


def _free_sizes(path):
    """Lets a file take any batch and size; an export of such a file takes a minute."""
    if path.suffix == '.onnx':
        model = onnx.load(path)
        for tensor in (*model.graph.input, *model.graph.output):
            for axis in (0, 2, 3):
                tensor.type.tensor_type.shape.dim[axis].dim_param = f'{tensor.name}_{axis}'
        del model.graph.value_info[:]
        onnx.save(model, path)
        return
    model = shared_core().read_model(path)
    model.reshape([-1, 3, -1, -1])
    openvino.save_model(model, path.with_name('free.xml'), compress_to_fp16=False)
    for end in ('.xml', '.bin'):
        path.with_name(f'free{end}').replace(path.with_suffix(end))


def _count_int8(path):
    """Convolutions with int8 weights, and all."""
    if path.suffix == '.onnx':
        model = onnx.load(path)
        types = {tensor.name: tensor.data_type for tensor in model.graph.initializer}
        source = {output: node for node in model.graph.node for output in node.output}
        convolutions = [node for node in model.graph.node if node.op_type == 'Conv']
        weights = [source.get(node.input[1]) for node in convolutions]
        int8 = [node for node in weights if node is not None and types.get(node.input[0]) == onnx.TensorProto.INT8]
        return len(int8), len(convolutions)
    nodes = shared_core().read_model(path).get_ordered_ops()
    convolutions = [node for node in nodes if 'Convolution' in node.get_type_name()]
    return sum(_is_int8(node) for node in convolutions), len(convolutions)


def _is_int8(node):
    """Whether an int8 constant stands before a node's weights."""
    node = node.input_value(1).get_node()
    while node.get_type_name() != 'Constant':
        node = node.input_value(0).get_node()
    return node.get_element_type().to_string() == 'i8'
