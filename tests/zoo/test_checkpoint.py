"""`checkpoint_path`: a checkpoint of a timm classifier, as timm's own training leaves it, becomes the backbone."""

import logging

import numpy as np
import pytest
import timm
import torch
from safetensors.torch import save_file
from torch import nn

import mbv3zoo
from mbv3zoo.models.weights import stock_weights
from mbv3zoo.zoo.checkpoint import read_checkpoint

NAME = 'test_resnet'


@pytest.fixture(scope='module')
def state():
    return timm.create_model(NAME, num_classes=7).state_dict()


def create(path, name=NAME, **settings):
    return mbv3zoo.create_detector(name, num_classes=2, image_size=64, checkpoint_path=path, **settings)


WRITTEN = {
    'whole.pth': lambda state: state,
    'trained.pth.tar': lambda state: {'state_dict': state, 'epoch': 3, 'arch': NAME},
    'parallel.pt': lambda state: {'model': {f'module.{name}': tensor for name, tensor in state.items()}},
    'average.pth': lambda state: {'state_dict': {name: t * 0 for name, t in state.items()}, 'state_dict_ema': state},
    'own_head.pth': lambda state: {**state, 'fc.1.weight': torch.ones(2, 2), 'head.new.bias': torch.ones(2)},
    'headless.pth': lambda state: {name: tensor for name, tensor in state.items() if not name.startswith('fc')},
    'a.safetensors': dict,
}


@pytest.mark.parametrize('file', WRITTEN)
def test_a_checkpoint_of_timms_whole_model_is_the_backbone(state, tmp_path, caplog, file):
    (save_file if file.endswith('safetensors') else torch.save)(WRITTEN[file](state), tmp_path / file)
    detector = create(tmp_path / file)
    assert all(torch.equal(tensor, state[name]) for name, tensor in stock_weights(detector).items())
    assert detector.config.licenses.backbone.source == str(tmp_path / file) and not caplog.messages
    # What it was made from is of one build only.
    loaded = mbv3zoo.Detector.from_pretrained(detector.save_pretrained(tmp_path / 'saved'))
    assert torch.equal(loaded.backbone.model.conv1[0].weight, state['conv1.0.weight'])
    assert logging.getLogger('timm.models').level == logging.NOTSET


def test_it_is_fitted_as_timms_own_weights_are(state, tmp_path):
    torch.save(state, tmp_path / 'a.pth')
    grey = create(tmp_path / 'a.pth', in_chans=1).backbone.model.conv1[0].weight
    torch.testing.assert_close(grey, state['conv1.0.weight'].sum(1, keepdim=True))
    half = create(tmp_path / 'a.pth', dtype='float16').backbone.model.conv1[0].weight
    assert torch.equal(half, state['conv1.0.weight'].half())


def test_a_checkpoint_of_the_features_alone_has_names_of_its_own(tmp_path):
    features = timm.create_model('test_convnext', features_only=True, out_indices=(1, 2, 3)).state_dict()
    assert 'stem_0.weight' in features
    torch.save(features, tmp_path / 'a.pth')
    found = create(tmp_path / 'a.pth', 'test_convnext').backbone.model.state_dict()
    assert all(torch.equal(found[name], tensor) for name, tensor in features.items())


def without_a_layer(state):
    return {name: tensor for name, tensor in state.items() if not name.startswith('layer3.0.conv1')}


def of_other_shape(state):
    return {**state, 'conv1.0.weight': torch.ones(3, 3)}


def not_finite(state):
    return {**state, 'conv1.0.weight': torch.full_like(state['conv1.0.weight'], torch.nan)}


def of_a_detector(state):
    return {f'backbone.model.{name}': tensor for name, tensor in state.items()}


def of_a_deeper_model(state):
    return {**state, 'layer3.7.conv1.weight': torch.ones(2)}


def an_object(state):
    return nn.Linear(2, 2)


def no_tensors(state):
    return {'epoch': 3}


def a_list(state):
    return [1, 2]


@pytest.mark.parametrize(
    ('made', 'reason'),
    [
        (without_a_layer, r'layer3\.0\.conv1\.weight first'),
        (of_other_shape, r'conv1\.0\.weight is \[3, 3\]'),
        (not_finite, 'NaN or infinity'),
        (of_a_detector, 'none of the .* tensors'),
        (of_a_deeper_model, r"another model than 'test_resnet', which has no layer3\.7\.conv1\.weight"),
        (an_object, 'cannot be read as a checkpoint'),
        (no_tensors, 'holds other things than tensors'),
        (a_list, 'cannot be read as a checkpoint'),
    ],
)
def test_another_checkpoint_is_told_by_its_name(state, tmp_path, caplog, made, reason):
    torch.save(made(state), tmp_path / 'a.pth')
    with pytest.raises(ValueError, match=rf'a\.pth.*{reason}') as told:
        create(tmp_path / 'a.pth')
    assert '\n' not in str(told.value) and not caplog.messages


@pytest.mark.parametrize('file', ['a.pth', 'a.safetensors', 'a.npz'])
def test_what_is_no_checkpoint_is_told(tmp_path, file):
    for data in (b'', b'junk', np.random.default_rng(0).bytes(1000)):
        (tmp_path / file).write_bytes(data)
        with pytest.raises(ValueError, match=rf'{file} cannot be read as a checkpoint: .*expected a file of tensors'):
            read_checkpoint(tmp_path / file)
    for path in (tmp_path, tmp_path / 'missing.pth'):
        with pytest.raises(ValueError, match='is no file; expected a file of tensors'):
            read_checkpoint(path)


def test_weights_come_from_one_place(tmp_path):
    folder = create('').save_pretrained(tmp_path / 'saved')
    path = folder / 'model.safetensors'
    for name in (folder, f'local-dir:{folder}'):
        with pytest.raises(ValueError, match='checkpoint_path .*leave'):
            mbv3zoo.create_detector(name, pretrained=True, checkpoint_path=path)
    detector = create(path, folder)
    assert torch.equal(detector.backbone.model.conv1[0].weight, read_checkpoint(path)['conv1.0.weight'])
