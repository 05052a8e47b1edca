import copy
import logging
import math

import pytest
import torch
from accelerate import Accelerator
from tiny_sets import CLASS_NAMES, write_yolo_set

from mbv3zoo.config.training import TrainConfig
from mbv3zoo.create import create_detector
from mbv3zoo.data.load import load_dataset
from mbv3zoo.training.checkpoint import save_state
from mbv3zoo.training.learner import Learner
from mbv3zoo.training.state_checks import SavedProgress, difference, saved_detector_config, warn_of_other_data

PLAIN = {'epoch': 3, 'best_epoch': 2, 'best_ap': 0.5, 'best_sha256': None, 'images': (8, 2), 'detector': None}


@pytest.mark.parametrize(
    ('key', 'value', 'message'),
    [
        ('epoch', '3', r"epoch: expected an integer \(given: '3'\)"),
        ('epoch', -1, 'epoch: .*greater than or equal to 1'),
        ('epoch', 0, 'epoch: .*greater than or equal to 1'),
        ('epoch', True, 'epoch: expected an integer'),
        ('epoch', None, 'epoch: expected an integer'),
        ('best_epoch', 4, 'best_epoch is 4, but only 3 are done'),
        ('best_ap', math.nan, 'best_ap: expected a finite number'),
        ('best_ap', 7.0, 'best_ap: expected a number less than or equal to 1'),
        ('images', [1], 'images'),
        ('images', ['a', 2], 'images'),
        ('detector', 'x', 'detector'),
    ],
)
def test_a_plain_value_that_cannot_be_names_the_state_and_what_can_be_done(tmp_path, key, value, message):
    with pytest.raises(ValueError, match=message) as error:
        SavedProgress.of(PLAIN | {key: value}, tmp_path)
    text = str(error.value)
    assert text.startswith(f'{tmp_path / "state.pt"}: not a state of a run, or damaged: ') and '\n' not in text
    assert f'mbv3zoo train --model {tmp_path / "last"} --data' in text


@pytest.mark.parametrize('key', ['epoch', 'best_epoch', 'best_ap'])
def test_a_plain_value_that_is_missing_is_named(tmp_path, key):
    plain = dict(PLAIN)
    del plain[key]
    with pytest.raises(ValueError, match=rf'state\.pt: .*{key}: is missing'):
        SavedProgress.of(plain, tmp_path)


def test_states_of_earlier_versions_say_less(tmp_path):
    saved = SavedProgress.of({'epoch': 3, 'best_epoch': 2, 'best_ap': 0.5, 'model': {}}, tmp_path)
    assert (saved.images, saved.best_sha256, saved.detector) == (None, None, None)


@pytest.mark.parametrize('config', [{'backbone': 3}, {'backbone': 'resnet18', 'backbone_args': {'pretrained': True}}])
def test_a_damaged_config_of_the_detector_names_the_state(tmp_path, config):
    save_state(tmp_path, PLAIN | {'detector': config})
    with pytest.raises(ValueError, match=r'state\.pt: not a state of a run, or damaged'):
        saved_detector_config(tmp_path)


def test_other_data_is_warned_of(tmp_path, caplog):
    caplog.set_level(logging.WARNING, 'mbv3zoo')
    warn_of_other_data(tmp_path, None, (8, 2))
    warn_of_other_data(tmp_path, (8, 2), (8, 2))
    assert not caplog.records
    warn_of_other_data(tmp_path, (8, 3), (8, 2))
    assert caplog.records[0].getMessage().endswith('it has 8 training and 2 validation images, and had 8 and 3')


@pytest.mark.parametrize(
    ('given', 'expected', 'text'),
    [
        ({'a': 1}, {'a': 2.5}, ''),
        ({'a': [1, (2, 3)]}, {'a': [1, [2, 3]]}, ''),
        ({}, {'a': 1}, "x has no 'a'"),
        ({'a': 1, 'b': 2}, {'a': 1}, "x has 'b', which is unknown here"),
        ([], {'a': 1}, 'x is a list of 0, expected a mapping'),
        ({'a': [1]}, {'a': [1, 2]}, 'x.a is a list of 1, expected a list of 2'),
        ({'a': None}, {'a': [1, 2]}, 'x.a is None, expected a list of 2'),
        ({'a': 'fast'}, {'a': 0.1}, 'x.a is a str, expected a finite number'),
        ({'a': math.inf}, {'a': 0.1}, 'x.a is a float, expected a finite number'),
        (3, torch.zeros(2), 'x is a int, expected a tensor'),
        (torch.zeros(3), torch.zeros(2), 'x has the shape [3], expected [2]'),
        (torch.zeros(2).double(), torch.zeros(2), 'x has the type torch.float64, expected torch.float32'),
        (torch.tensor([0, math.nan]), torch.zeros(2), 'x is not finite'),
        (torch.zeros(2, device='meta'), torch.zeros(2), 'x is a Tensor, expected a tensor'),
        (torch.zeros(2).to_sparse(), torch.zeros(2), 'x is a Tensor, expected a tensor'),
    ],
)
def test_the_first_difference_is_said(given, expected, text):
    assert difference(given, expected, 'x') == text


def test_further_keys_may_be_allowed():
    assert difference({'a': {'b': 1, 'c': 2}}, {'a': {'b': 3}}, 'x', more=True) == ''


@pytest.fixture(scope='module')
def learned(tmp_path_factory):
    """A learner after an epoch of one step, and its state."""
    data = load_dataset(write_yolo_set(tmp_path_factory.mktemp('tiny'), {'train': 4}), 'train')
    detector = create_detector('mbv3_yolo_small_050', class_names=CLASS_NAMES, image_size=64)
    learner = Learner(detector, data, TrainConfig(batch_size=4, workers=0, epochs=2), Accelerator(cpu=True))
    learner.train_epoch(0)
    return learner, copy.deepcopy(learner.state_dict())


def test_its_own_state_fits(learned):
    learner, state = learned
    learner.load_state_dict(copy.deepcopy(state), 1)


@pytest.mark.parametrize(
    ('keys', 'value', 'message'),
    [
        (('model',), None, 'model is None, expected a mapping'),
        (('ema',), None, 'ema is None, expected a mapping'),
        (('optimizer',), None, 'optimizer is None'),
        (('optimizer', 'param_groups'), [], r'optimizer\.param_groups is a list of 0, expected a list of 2'),
        (
            ('optimizer', 'param_groups', 0, 'lr'),
            math.nan,
            r'param_groups\[0\]\.lr is a float, expected a finite number',
        ),
        (('optimizer', 'param_groups', 0, 'params'), [0], r'params is a list of 1, expected a list of'),
        (('optimizer', 'param_groups', 1), {'lr': 0.1}, r"optimizer\.param_groups\[1\] has no '.*' \(optimizer, "),
        (('optimizer', 'state', 0), {}, r"optimizer\.state\.0 has no '"),
        (('optimizer', 'state', 0, 'exp_avg'), torch.zeros(3, 3, 3), r'exp_avg has the shape \[3, 3, 3\]'),
    ],
)
def test_a_state_that_does_not_fit_is_told_before_anything_is_changed(learned, keys, value, message):
    learner, state = learned
    state, before = copy.deepcopy(state), copy.deepcopy(learner.state_dict())
    place = state
    for key in keys[:-1]:
        place = place[key]
    place[keys[-1]] = value
    with pytest.raises(ValueError, match=message):
        learner.load_state_dict(state, 1)
    for name, tensor in learner.state_dict()['model'].items():
        assert torch.equal(tensor, before['model'][name])


@pytest.mark.parametrize('damage', ['lost', 'shape', 'nan', 'kind', 'unknown'])
@pytest.mark.parametrize('part', ['model', 'ema'])
def test_a_tensor_that_does_not_fit_is_named(learned, part, damage):
    learner, state = learned
    state = copy.deepcopy(state)
    name = next(iter(state[part]))
    if damage == 'lost':
        del state[part][name]
    elif damage == 'unknown':
        state[part]['more'] = torch.zeros(1)
    else:
        value = state[part][name]
        state[part][name] = {'shape': value[:1], 'nan': value * math.nan, 'kind': 'weights'}[damage]
    with pytest.raises(ValueError, match=f'^{part}.*{"more" if damage == "unknown" else name}'):
        learner.load_state_dict(state, 1)
