"""A segmenter in every format: the same labels as in PyTorch, from what users call."""

import json
import subprocess
import sys

import numpy as np
import pytest
from exported_files import RUNNABLE, SCENE, needs

import mbv3zoo
from mbv3zoo.cli.main import app
from mbv3zoo.runtimes.table import FORMATS


def slow(*values):
    return pytest.param(*values, marks=pytest.mark.slow)


@pytest.fixture(scope='module')
def segmenter():
    import torch

    torch.manual_seed(1)
    return mbv3zoo.create_segmenter('mbv3_yolo_small_050', class_names=['ground', 'cat', 'dog'], image_size=96).eval()


@pytest.fixture(scope='module')
def file(segmenter, tmp_path_factory):
    needs('onnx')
    return segmenter.export(tmp_path_factory.mktemp('onnx') / 'm.onnx')


@pytest.mark.parametrize(
    ('name', 'options'),
    [
        ('torchscript', {}),
        *[slow(name, {}) for name in RUNNABLE if name != 'torchscript'],
        slow('onnx', {'dynamic': True}),
        slow('openvino', {'precision': 'float16'}),
    ],
)
def test_every_format_gives_the_same_labels(segmenter, tmp_path, name, options):
    needs(name)
    path = segmenter.export(tmp_path / f'm{FORMATS[name].suffix}', **options)
    certificate, opened = mbv3zoo.read_certificate(path), mbv3zoo.load(path)
    assert type(opened) is mbv3zoo.ExportedSegmenter and opened.info.task == 'segmentation' and not opened.info.anchors
    for parity in certificate.pictures:
        assert parity.labels_compared == parity.size[0] * parity.size[1] and parity.labels_apart < 0.02
        assert f'of {parity.labels_compared} labels differ' in str(certificate) and not parity.boxes_compared
    expected, found = segmenter.predict(SCENE), opened.predict(SCENE)
    assert found.class_names == ('ground', 'cat', 'dog') and found.labels.shape == expected.labels.shape
    assert (found.labels == expected.labels).mean() > 0.98
    if opened.info.dynamic:
        assert len(opened.predict([SCENE, SCENE], image_size=(64, 128))) == 2


@pytest.mark.parametrize('runtime', ['eager', 'onnxruntime', slow('openvino')])
def test_runtimes_of_a_segmenter_in_memory(segmenter, runtime):
    found = segmenter.predict(SCENE, runtime=runtime, threads=1)
    assert (found.labels == segmenter.predict(SCENE).labels).mean() > 0.995


def test_what_a_segmenter_cannot_be_asked(segmenter, tmp_path):
    with pytest.raises(ValueError, match='nms: of detectors only, and this model is a segmenter; leave it out'):
        segmenter.export(tmp_path / 'm.onnx', nms=True)
    assert not list(tmp_path.iterdir())


def test_logits_that_are_the_same_everywhere_say_nothing(segmenter, tmp_path):
    dead = mbv3zoo.create_segmenter(segmenter.config)
    for layer in (dead.head.low_classifier, dead.head.high_classifier):
        layer.weight.data.zero_()
    with pytest.raises(ValueError, match='no label of it could be compared.*the same at every pixel; train the segm'):
        dead.eval().export(tmp_path / 'm.torchscript')


def test_commands_take_the_file(file, tmp_path, capsys):
    run = lambda *words: app([str(word) for word in words], standalone_mode=False)  # noqa: E731
    run('info', file)
    said = capsys.readouterr().out
    assert 'segmentation' in said and 'logits of each class at stride 8' in said and 'NMS' not in said
    run('predict', file, SCENE, '--out', tmp_path / 'out')
    assert [path.suffix for path in (tmp_path / 'out' / 'masks').iterdir() if path.suffix == '.png'] == ['.png']


def test_neither_torch_nor_timm_is_imported(file):
    code = (
        f'import sys, mbv3zoo; found = mbv3zoo.load({str(file)!r}).predict({str(SCENE)!r}); '
        "print(found.labels.shape, *sorted({'torch', 'timm', 'torchvision'} & {*sys.modules}))"
    )
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(np.asarray(mbv3zoo.load(file).predict(SCENE).labels).shape)


def test_its_certificate_is_plain_json(file):
    data = json.loads(file.with_name('m.onnx.json').read_text())
    assert (
        data['info']['task'] == 'segmentation' and data['info']['strides'] == [8] and data['pictures'][0]['kept'] == 0
    )
