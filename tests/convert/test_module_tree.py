from collections import OrderedDict

import pytest
import torch
from reference_weights import reference_value
from torch import nn
from yolov5_tree import (
    OFFICIAL_LAYERS,
    PATCHED_SMALL_LAYERS,
    TINY_LAYERS,
    DetectionModel,
    assert_read,
    save_tree,
    yolov5_checkpoint,
)

from mbv3zoo.convert import module_tree
from mbv3zoo.convert.checkpoint import read_checkpoint
from mbv3zoo.convert.convert import load_yolov5


def test_the_modules_come_with_their_attributes(path):
    yolov5_checkpoint(path, PATCHED_SMALL_LAYERS)
    modules = read_checkpoint(path).modules
    assert list(modules)[:4] == ['model', 'model.0', 'model.0.model', 'model.0.model.0']
    assert modules['model.1'].class_name == 'models.common.SPPF'
    # The row's number in YOLOv5's count goes on at 5 after a whole network, the tensors' names do not.
    assert modules['model.1'].attributes['i'] == 5
    assert modules['model.4'].attributes['f'] == (-1, 3)
    conv = modules['model.0.model.0.conv'].attributes
    assert (conv['kernel_size'], conv['stride'], conv['padding'], conv['groups']) == ((3, 3), (2, 2), (1, 1), 1)
    assert modules['model.0.model.0.norm'].attributes['eps'] == 1e-3
    assert modules['model.0.model.0.activation'].class_name == 'torch.nn.modules.activation.Hardswish'
    assert not any(name.startswith('_') for module in modules.values() for name in module.attributes)


def test_the_tensors_are_usable_after_the_file_is_gone(path):
    yolov5_checkpoint(path, TINY_LAYERS)
    tensors = read_checkpoint(path).tensors
    path.unlink()
    value = reference_value('model.0.conv.weight', (8, 3, 3, 3))
    assert torch.equal(tensors['model.0.conv.weight'], torch.from_numpy(value))
    tensors['model.0.conv.weight'].zero_()


def test_passing_buffers_and_empty_parameters_are_left_out(path):
    def change(model):
        model.model[0].register_buffer('seen', torch.ones(1), persistent=False)
        model.model[0].register_buffer('kept', torch.ones(1))
        model.model[0].register_parameter('none', None)

    saved = yolov5_checkpoint(path, TINY_LAYERS, change=change)
    tensors = read_checkpoint(path).tensors
    assert_read(tensors, saved)
    assert 'model.0.kept' in tensors and 'model.0.seen' not in tensors and 'model.0.none' not in tensors


def test_a_checkpoint_written_by_an_older_python_and_torch_is_read(path):
    """Dicts of modules were OrderedDicts before torch 2; protocols up to 2 know no sets."""
    yolov5_checkpoint(path, TINY_LAYERS)
    expected = read_checkpoint(path).tensors

    def change(model):
        for module in model.modules():
            for name in ('_parameters', '_buffers', '_modules'):
                vars(module)[name] = OrderedDict(vars(module)[name])

    yolov5_checkpoint(path, TINY_LAYERS, change=change)
    assert_read(read_checkpoint(path).tensors, expected)


def test_a_layer_list_that_doubles_itself_is_refused(path):
    """35 lists that each hold the former one twice fill the memory when they are copied."""
    model, row = DetectionModel(TINY_LAYERS), []
    for _ in range(35):
        row = [row, row]
    model.yaml['head'] = row
    save_tree(path, model)
    with pytest.raises(ValueError, match='too large'):
        read_checkpoint(path)


def test_modules_that_double_themselves_are_refused(path, monkeypatch):
    monkeypatch.setattr(module_tree, 'MAX_MODULES', 500)
    model, inner = DetectionModel(TINY_LAYERS), nn.Identity()
    for _ in range(20):
        inner = nn.Sequential(OrderedDict(a=inner, b=inner))
    model.model[0].add_module('inner', inner)
    save_tree(path, model)
    with pytest.raises(ValueError, match='more than 500 modules'):
        read_checkpoint(path)


@pytest.mark.parametrize(('name', 'value'), [('weight', float('nan')), ('bias', float('inf')), ('running_var', -1.0)])
def test_numbers_that_no_trained_network_has(path, name, value):
    def change(model):
        getattr(model.model[0].bn, name).data[0] = value

    yolov5_checkpoint(path, OFFICIAL_LAYERS, change=change)
    with pytest.raises(ValueError, match=f'best.pt: model.0.bn.{name} holds numbers that no trained network has'):
        load_yolov5(path)


def test_a_wrapper_of_itself(path):
    wrapper = nn.DataParallel(nn.Identity())
    wrapper._modules['module'] = wrapper
    torch.save({'model': wrapper, 'ema': None}, path)
    with pytest.raises(ValueError, match='best.pt: '):
        load_yolov5(path)
