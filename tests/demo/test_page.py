"""The folder of a page, as it is written."""

import hashlib
import json

import pytest

import mbv3zoo
from mbv3zoo.demo import page
from mbv3zoo.demo.model_info import model_name
from mbv3zoo.demo.page import write_page


@pytest.fixture
def model(exported, tmp_path):
    """A small ONNX file in a folder of its own."""
    return exported('onnx')


def test_the_folder_is_whole_and_describes_its_model(model, tmp_path):
    folder = write_page(model, tmp_path / 'page', title='<b>Parts</b>')
    names = {path.relative_to(folder).as_posix() for path in folder.rglob('*') if path.is_file()}
    assert {
        'model.onnx',
        'model.json',
        'detector.js',
        'worker.js',
        'runtime/ort.wasm.min.mjs',
        'runtime/LICENSE',
    } <= names
    info = json.loads((folder / 'model.json').read_text())
    opened = mbv3zoo.load(folder / 'model.onnx')
    assert info['sha256'] == hashlib.sha256((folder / 'model.onnx').read_bytes()).hexdigest()
    assert tuple(info['class_names']) == opened.class_names and (info['title'], info['name']) == (
        '<b>Parts</b>',
        model_name(model),
    )
    assert info['image_size'] == list(opened.info.image_size) and len(info['anchors']) == len(info['strides'])
    assert info['license'] == 'apache-2.0' and info['bytes'] == (folder / 'model.onnx').stat().st_size


def test_a_folder_is_replaced_only_where_it_is_a_page_and_that_is_asked_for(model, tmp_path):
    folder = write_page(model, tmp_path / 'page')
    with pytest.raises(ValueError, match='is a page already; replace it with overwrite'):
        write_page(model, folder)
    (folder / 'notes.txt').write_text('mine')
    write_page(model, folder, title='new', overwrite=True)
    assert json.loads((folder / 'model.json').read_text())['title'] == 'new' and (folder / 'notes.txt').exists()
    (tmp_path / 'else').mkdir()
    (tmp_path / 'else' / 'thesis.tex').write_text('mine')
    for overwrite in (False, True):
        with pytest.raises(ValueError, match='exists; results are never overwritten'):
            write_page(model, tmp_path / 'else', overwrite=overwrite)
    assert [path.name for path in (tmp_path / 'else').iterdir()] == ['thesis.tex']


@pytest.mark.parametrize(
    'given, options, told',
    [
        ('model.xml', {}, 'a browser runs ONNX files'),
        ('model.onnx', {'precision': 'int8'}, 'an exported file is taken as it is; leave out precision'),
        ('mbv3_yolo_small.synth', {'precision': 'int8'}, 'int8 needs calibration'),
        ('mbv3_yolo_small.synth', {'image_size': 100}, 'multiples of 32'),
        ('mbv3_yolo_small', {}, 'names an architecture: train it first'),
        ('missing.onnx', {}, 'missing.onnx'),
    ],
)
def test_what_no_page_can_be_made_of_leaves_no_folder(given, options, told, tmp_path):
    with pytest.raises((ValueError, OSError), match=told):
        write_page(given, tmp_path / 'page', **options)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    'changed, told',
    [
        ({'outputs': 'detections'}, 'has NMS inside'),
        ({'in_chans': 1}, '1 channels'),
        ({'batch_size': 4}, '4 images per call'),
    ],
)
def test_models_that_a_page_cannot_run(changed, told, model, tmp_path, monkeypatch):
    opened = mbv3zoo.load(model)
    opened.info = opened.info.model_copy(update=changed)
    monkeypatch.setattr(page.ExportedModel, 'open', lambda file: opened)
    with pytest.raises(ValueError, match=told):
        write_page(model, tmp_path / 'page')
    assert list(tmp_path.iterdir()) == []


def test_a_detector_of_other_images_is_told_by_its_name_before_it_is_exported(tmp_path):
    mbv3zoo.create_detector('mbv3_yolo_small', num_classes=1, in_chans=1).save_pretrained(tmp_path / 'thermal')
    with pytest.raises(ValueError, match='thermal takes images of 1 channels'):
        write_page(tmp_path / 'thermal', tmp_path / 'page')
    assert not (tmp_path / 'page').exists()
