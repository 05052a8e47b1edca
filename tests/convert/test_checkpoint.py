import argparse
import sys
import zipfile
from collections import OrderedDict
from pathlib import Path
from types import ModuleType

import pytest
import torch
from torch import nn
from torch.nn.utils import prune
from yolov5_tree import (
    ANCHORS,
    MULTIPLES,
    OFFICIAL_LAYERS,
    PATCHED_LAYERS,
    PATCHED_SMALL_LAYERS,
    TINY_LAYERS,
    DetectionModel,
    assert_read,
    fill_tree,
    save_tree,
    tree_imported,
    yolov5_checkpoint,
)

from mbv3zoo.convert.checkpoint import read_checkpoint

TINY_ANCHORS = [[(8.0, 9.0), (20.0, 30.0)], [(40.0, 30.0), (61.5, 119.25)]]


@pytest.mark.parametrize('half', [False, True])
@pytest.mark.parametrize('layers', [OFFICIAL_LAYERS, PATCHED_LAYERS, PATCHED_SMALL_LAYERS], ids=['n', 'large', 'small'])
def test_a_checkpoint_comes_back_whole(layers, half, path):
    saved = yolov5_checkpoint(path, layers, half=half)
    found = read_checkpoint(path)
    assert_read(found.tensors, saved)
    assert found.layers == layers | {'ch': 3}
    assert found.num_classes == 80 and found.class_names == tuple(map(str, range(80)))
    assert found.anchors == [list(zip(row[::2], row[1::2], strict=True)) for row in ANCHORS]
    assert found.strides == (8, 16, 32)
    assert (found.image_size, found.data, found.source) == (640, 'coco128', 'ema')


@pytest.mark.slow
@pytest.mark.parametrize('size', MULTIPLES)
def test_all_sizes_come_back(size, path):
    saved = yolov5_checkpoint(path, OFFICIAL_LAYERS | MULTIPLES[size])
    assert_read(read_checkpoint(path).tensors, saved)


def test_the_running_average_is_preferred(path):
    saved = yolov5_checkpoint(path, TINY_LAYERS)
    assert_read(read_checkpoint(path).tensors, saved)
    saved = yolov5_checkpoint(path, TINY_LAYERS, ema=False)
    found = read_checkpoint(path)
    assert found.source == 'model'
    assert_read(found.tensors, saved)


@pytest.mark.parametrize(
    ('names', 'expected'),
    [
        (['cat', 'dog', 'cow'], ('cat', 'dog', 'cow')),
        ({0: 'cat', 1: 'dog', 2: 'cow'}, ('cat', 'dog', 'cow')),
        (OrderedDict({2: 'cow', 0: 'cat'}), ('cat', '1', 'cow')),
        (['cat'], ('cat', '1', '2')),
        (['cat', 'dog', 'cow', 'hen'], ('cat', 'dog', 'cow')),
        ([0, 1, 7], ('0', '1', '7')),
        ('abc', ('0', '1', '2')),
        ([], ('0', '1', '2')),
    ],
)
def test_each_class_has_a_name(names, expected, path, caplog):
    yolov5_checkpoint(path, TINY_LAYERS, names)
    assert read_checkpoint(path).class_names == expected
    told = names in (['cat'], ['cat', 'dog', 'cow', 'hen'], [0, 1, 7]) or names == {2: 'cow', 0: 'cat'}
    assert bool(caplog.records) == (told and names != [0, 1, 7])


def test_names_that_are_of_other_classes_are_told(path, caplog):
    yolov5_checkpoint(path, TINY_LAYERS, {1: 'cat', 2: 'dog', 3: 'cow'})
    assert read_checkpoint(path).class_names == ('0', 'cat', 'dog')
    assert '3 classes: 1 have no name and are called by their number (0); 1 names are left out (cow)' in caplog.text


def test_a_running_average_that_is_no_model_is_told(path, caplog):
    model = fill_tree(DetectionModel(TINY_LAYERS))
    save_tree(path, model, ema=model.state_dict())
    assert read_checkpoint(path).source == 'model' and 'the weights are those of' in caplog.text


@pytest.mark.parametrize(
    ('change', 'words'),
    [
        (
            lambda model: setattr(model.model[0], 'forward', print),
            'model.0 has a forward of its own .* models.common.Conv',
        ),
        (lambda model: nn.utils.weight_norm(model.model[0].conv), 'model.0.conv has a hook that runs with it'),
        (lambda model: prune.l1_unstructured(model.model[0].conv, 'weight', 0.5), 'model.0.conv has a hook'),
    ],
)
@pytest.mark.filterwarnings('ignore:.*weight_norm. is deprecated')
def test_a_module_that_runs_other_code_than_its_class(change, words, path):
    model = fill_tree(DetectionModel(TINY_LAYERS))
    change(model)
    save_tree(path, model)
    with pytest.raises(ValueError, match=words):
        read_checkpoint(path)


@pytest.mark.parametrize(
    ('entries', 'expected'),
    [
        ({'opt': {'data': 'a/b.c/my.data.yaml', 'imgsz': 320}}, (320, 'my.data')),
        ({'opt': {'data': 'C:\\sets\\mine.yaml', 'imgsz': [416, 640]}}, (416, 'mine')),
        ({'opt': argparse.Namespace(data=Path('sets') / 'mine.yaml', img_size=[512, 512])}, (512, 'mine')),
        ({'opt': {'data': {'nc': 3}, 'imgsz': 0}}, (None, '')),
        ({'opt': {'data': None, 'imgsz': 10**9}}, (None, '')),
        ({'opt': {'imgsz': True}}, (None, '')),
        ({'opt': None}, (None, '')),
    ],
)
def test_the_settings_are_read_where_they_make_sense(entries, expected, path):
    yolov5_checkpoint(path, TINY_LAYERS, **entries)
    found = read_checkpoint(path)
    assert (found.image_size, found.data) == expected


def test_a_model_saved_alone_or_in_a_wrapper_is_read(path):
    saved = yolov5_checkpoint(path, TINY_LAYERS, change=nn.DataParallel)
    found = read_checkpoint(path)
    assert_read(found.tensors, {name.removeprefix('module.'): value for name, value in saved.items()})
    model = DetectionModel(TINY_LAYERS)
    with tree_imported():
        torch.save(model, path)
    assert_read(read_checkpoint(path).tensors, model.state_dict())


def _set_stride(*values):
    def change(model):
        model.model[-1].stride = torch.tensor(values)

    return change


def _set_anchor(value):
    def change(model):
        model.model[-1].anchors[1, 0, 1] = value

    return change


def _without_norm(model):
    del model.model[1].cv1.bn
    model.model[1].cv1.conv.bias = nn.Parameter(torch.zeros(8))


def _in_itself(model):
    model.model[0].add_module('again', model.model[0])


def _odd_parameter(model):
    model.model[0].conv._parameters['weight'] = nn.Identity()


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (_without_norm, 'was fused: model.1.cv1 has no batch norm'),
        (_in_itself, 'modules, or they stand in a circle'),
        (_odd_parameter, r"model.0.conv.weight is Record\('torch.nn.modules.linear.Identity'\)"),
        (_set_anchor(0.0), 'an anchor without a positive, finite'),
        (_set_anchor(-2.0), 'an anchor without a positive, finite'),
        (_set_anchor(float('nan')), 'an anchor without a positive, finite'),
        (_set_anchor(float('inf')), 'an anchor without a positive, finite'),
        (_set_stride(8.0, 0.0), r'strides .* \[8.0, 0.0\]'),
        (_set_stride(8.0, -16.0), 'strides'),
        (_set_stride(8.0, 16.5), 'strides'),
        (_set_stride(8.0, float('nan')), 'strides'),
        (_set_stride(8.0, 16.0, 32.0), r'anchors are of shape \(2, 2, 2\); expected \(3,'),
        (lambda model: vars(model.model[-1]).update(nc=4), r'number of classes is unclear.*\[4, 3\]'),
        (lambda model: (vars(model.model[-1]).update(nc=0), model.yaml.update(nc=0)), 'number of classes'),
        (lambda model: (vars(model.model[-1]).update(nc='3'), model.yaml.update(nc='3')), 'number of classes'),
        (lambda model: vars(model).pop('yaml'), 'no layer list'),
        (lambda model: model.yaml.update(head=[Path('a')]), r"layer list holds Record\('pathlib"),
        (lambda model: model.yaml.update(head=model.yaml), 'layer list is too large, or holds itself'),
        (lambda model: model.model[-1]._buffers.clear(), 'Detect, has no anchors'),
        (lambda model: model._modules.clear(), 'has no layers'),
    ],
)
def test_what_cannot_be_converted_says_why(change, message, path):
    model = DetectionModel(TINY_LAYERS)
    change(model)
    save_tree(path, model)
    with pytest.raises(ValueError, match=message) as caught:
        read_checkpoint(path)
    assert str(caught.value).startswith(f'{path}: ')


@pytest.fixture
def rename(monkeypatch):
    """Gives a module a class of another name."""

    def renamed(module, package, name):
        cls = type(name, (type(module),), {'__module__': package})
        for part in (package.rsplit('.', count)[0] for count in range(package.count('.') + 1)):
            monkeypatch.setitem(sys.modules, part, ModuleType(part))
        setattr(sys.modules[package], name, cls)
        module.__class__ = cls

    return renamed


@pytest.mark.parametrize(
    ('package', 'name', 'message'),
    [
        ('yolo.models', 'SegmentationModel', r'a segmentation model \(yolo.models.SegmentationModel\)'),
        ('yolo.models', 'ClassificationModel', 'a classification model'),
        ('ultralytics.nn.tasks', 'DetectionModel', 'ultralytics.nn.tasks.DetectionModel.*another network'),
    ],
)
def test_other_models_are_told_apart(package, name, message, path, rename):
    model = DetectionModel(TINY_LAYERS)
    rename(model, package, name)
    save_tree(path, model)
    with pytest.raises(ValueError, match=message):
        read_checkpoint(path)


def test_a_last_layer_of_another_kind_is_told_apart(path, rename):
    model = DetectionModel(TINY_LAYERS)
    rename(model.model[-1], 'yolo.models', 'Segment')
    save_tree(path, model)
    with pytest.raises(ValueError, match=r'a segmentation model \(yolo.models.Segment\)'):
        read_checkpoint(path)


@pytest.mark.parametrize('key', [None, 'model', 'state_dict'])
def test_a_state_dict_is_told_apart(key, path):
    state = DetectionModel(TINY_LAYERS).state_dict()
    torch.save(state if key is None else {key: state}, path)
    with pytest.raises(ValueError, match='holds tensors only .a state dict.*torch.save'):
        read_checkpoint(path)


@pytest.mark.parametrize('content', [{}, {'model': None, 'ema': None}, [1, 2], None, {'model': 3}, 'text'])
def test_a_file_without_a_model_is_told_apart(content, path):
    torch.save(content, path)
    with pytest.raises(ValueError, match="no model under 'ema' or 'model'"):
        read_checkpoint(path)


def test_a_torchscript_file_is_told_apart(path):
    # torch.jit is on its way out, so only the parts by which its files are known.
    yolov5_checkpoint(path, TINY_LAYERS)
    with zipfile.ZipFile(path, 'a') as archive:
        archive.writestr('best/constants.pkl', b'N.')
    with pytest.raises(ValueError, match='TorchScript.*exported from'):
        read_checkpoint(path)


class Attack:
    """Runs a command when it is unpickled."""

    def __init__(self, command):
        self.command = command

    def __reduce__(self):
        import os

        return os.system, (self.command,)


def test_a_checkpoint_with_an_attack_in_it_is_harmless(path, tmp_path):
    hit = tmp_path / 'hit'
    attack = Attack(f'touch {hit}')
    model = DetectionModel(TINY_LAYERS)
    model.note = model.model[0].act.hook = attack
    save_tree(path, model, note=attack)
    assert_read(read_checkpoint(path).tensors, model.state_dict())
    assert not hit.exists()
    # The file is as harmful as it looks.
    with tree_imported():
        torch.load(path, weights_only=False)
    assert hit.exists()


def test_an_attack_in_the_place_of_a_part_is_harmless(path, tmp_path):
    hit = tmp_path / 'hit'
    attack = Attack(f'touch {hit}')
    places = {
        'yaml': lambda model: vars(model).update(yaml=attack),
        'names': lambda model: vars(model).update(names=attack),
        'weight': lambda model: model.model[0].conv._parameters.update(weight=attack),
        'stride': lambda model: vars(model.model[-1]).update(stride=attack),
        'buffer': lambda model: model.model[-1]._buffers.update(anchors=attack),
        'children': lambda model: vars(model.model[1]).update(_modules=attack),
    }
    for name, change in places.items():
        model = DetectionModel(TINY_LAYERS)
        change(model)
        save_tree(path, model)
        if name in ('names', 'children', 'stride'):
            read_checkpoint(path)
        else:
            with pytest.raises(ValueError, match='best.pt'):
                read_checkpoint(path)
    save_tree(path, attack, ema=attack, opt=attack)
    with pytest.raises(ValueError, match='no model'):
        read_checkpoint(path)
    assert not hit.exists()


def test_a_damaged_checkpoint_is_refused(path):
    yolov5_checkpoint(path, TINY_LAYERS)
    data = path.read_bytes()
    for length in range(0, len(data), len(data) // 50):
        path.write_bytes(data[:length])
        with pytest.raises(ValueError, match='best.pt'):
            read_checkpoint(path)


def test_a_model_with_a_hundred_million_classes(tmp_path):
    def change(model):
        model.yaml = {**model.yaml, 'nc': 10**8}
        model.model[-1].nc = 10**8

    yolov5_checkpoint(tmp_path / 'best.pt', change=change)
    with pytest.raises(ValueError, match='best.pt: it has 100000000 classes, expected at most 65536'):
        read_checkpoint(tmp_path / 'best.pt')
