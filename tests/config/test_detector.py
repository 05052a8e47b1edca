import json
import math

import pytest
from pydantic import ValidationError

from mbv3zoo.config.detector import DEFAULT_ANCHORS, STRIDES, DetectorConfig
from mbv3zoo.config.training import DataConfig, RunConfig, TrainConfig


def through_json(config):
    return type(config).parse(json.loads(json.dumps(config.model_dump(mode='json'))))


def test_frozen():
    config = DetectorConfig(backbone='resnet18')
    with pytest.raises(ValidationError, match='frozen'):
        config.num_classes = 3
    with pytest.raises(ValidationError, match='frozen'):
        TrainConfig().lr = 1.0
    assert config.num_classes == 80


def test_defaults_are_yolov5():
    config = DetectorConfig(backbone='resnet18')
    assert config.num_classes == 80 and config.in_chans == 3 and config.image_size == (640, 640)
    assert (config.depth_multiple, config.width_multiple) == (0.33, 0.25)
    assert config.anchors == DEFAULT_ANCHORS and len(config.anchors) == len(STRIDES)
    assert config.anchors[1][2] == (59, 119)


def test_defaults_are_not_shared():
    one, other = DetectorConfig(backbone='resnet18'), DetectorConfig(backbone='resnet18')
    one.backbone_args['drop_path_rate'] = 0.1
    assert other.backbone_args == {} and DetectorConfig(backbone='resnet18').backbone_args == {}


@pytest.mark.parametrize(
    ('model', 'data', 'given', 'near'),
    [
        (DetectorConfig, {'backbone': 'resnet18', 'num_clases': 3}, 'num_clases', 'num_classes'),
        (DetectorConfig, {'backbone': 'resnet18', 'img_size': 320}, 'img_size', 'image_size'),
        (DetectorConfig, {'backbon': 'resnet18'}, 'backbon', 'backbone'),
        (TrainConfig, {'epoch': 3}, 'epoch', 'epochs'),
        (DataConfig, {'data': 'a', 'val': 'b'}, 'val', 'val_data'),
        (RunConfig, {'data': {'data': 'a'}, 'train': {'batchsize': 3}}, 'batchsize', 'batch_size'),
    ],
)
def test_an_unknown_key_is_refused_with_the_nearest(model, data, given, near):
    with pytest.raises(ValueError) as caught:
        model.parse(data, 'my.yaml')
    message = str(caught.value)
    assert message.startswith('my.yaml: ') and f'unknown key {given!r}; did you mean {near!r}?' in message
    assert '\n' not in message


def test_a_key_like_no_other_is_refused_with_all_names():
    with pytest.raises(ValueError, match="unknown key 'xyzzy'; known keys: data, val_data, images"):
        DataConfig.parse({'data': 'a', 'xyzzy': 1})
    with pytest.raises(ValueError, match='unknown key 1;'):
        DataConfig.parse({'data': 'a', 1: 1})


def test_unknown_keys_are_refused_without_parse_too():
    with pytest.raises(ValidationError, match="did you mean 'num_classes'"):
        DetectorConfig(backbone='resnet18', num_clases=3)


@pytest.mark.parametrize(
    ('given', 'size'), [(320, (320, 320)), ([320, 640], (320, 640)), ((32, 64), (32, 64)), (32, (32, 32))]
)
def test_image_size(given, size):
    assert DetectorConfig(backbone='resnet18', image_size=given).image_size == size
    assert RunConfig(data={'data': 'a'}, image_size=given).image_size == size


@pytest.mark.parametrize('bad', [0, -32, 100, [320, 330], [320], [320, 320, 320], 'big', 320.5, True, None, [None, 32]])
def test_bad_image_size(bad):
    with pytest.raises(ValueError, match='image_size'):
        DetectorConfig.parse({'backbone': 'resnet18', 'image_size': bad})


@pytest.mark.parametrize(
    ('field', 'value'),
    [
        ('num_classes', 10**12), ('depth_multiple', 1e6), ('width_multiple', 1e6), ('image_size', 32 * 10**9),
        ('in_chans', 10**9), ('anchors', [[[1, 1]] * 1000] * 3),
    ],
)  # fmt: skip
def test_what_no_machine_could_build_is_refused_at_once(field, value):
    with pytest.raises(ValueError, match=field):
        DetectorConfig.parse({'backbone': 'resnet18', field: value})


def test_number_of_classes_follows_their_names():
    config = DetectorConfig(backbone='resnet18', class_names=['cat', 'dog'])
    assert config.num_classes == 2 and config.class_names == ('cat', 'dog')
    assert DetectorConfig(backbone='resnet18', class_names=['cat', 'dog'], num_classes=2) == config


def test_names_follow_the_number_of_classes():
    assert DetectorConfig(backbone='resnet18', num_classes=3).class_names == ('0', '1', '2')
    assert DetectorConfig(backbone='resnet18', num_classes=1, class_names=[]).class_names == ('0',)
    assert len(DetectorConfig(backbone='resnet18').class_names) == 80


@pytest.mark.parametrize(
    ('classes', 'words'),
    [
        ({'num_classes': 3, 'class_names': ['cat', 'dog']}, ['num_classes is 3', '2 names']),
        ({'class_names': ['cat', 'dog', 'cat']}, ['unique', 'cat']),
        ({'class_names': 'cat'}, ['list of names', "'cat'"]),
        ({'class_names': 3}, ['list of names', '3']),
        ({'class_names': {0: 'cat'}}, ['list of names', 'cat']),
        ({'class_names': [1, 2]}, ['class_names.0', 'string', '1']),
        ({'num_classes': 0}, ['num_classes', '0']),
        ({'num_classes': -1}, ['num_classes', '-1']),
        # Read as 3, they would leave the names empty.
        ({'num_classes': '3'}, ['num_classes', 'integer', "'3'"]),
        ({'num_classes': 3.0}, ['num_classes', 'integer', '3.0']),
        ({'num_classes': True}, ['num_classes', 'integer', 'True']),
        ({'num_classes': None}, ['num_classes', 'None']),
    ],
)
def test_bad_classes(classes, words):
    with pytest.raises(ValueError) as caught:
        DetectorConfig.parse({'backbone': 'resnet18', **classes}, 'my.yaml')
    assert str(caught.value).startswith('my.yaml: ') and all(word in str(caught.value) for word in words)


@pytest.mark.parametrize(
    ('setting', 'words'),
    [
        ({'anchors': [[[10, 13]], [[30, 61]]]}, ['3 lists', '[1, 1]']),
        ({'anchors': [[[10, 13]], [[30, 61]], [[1, 2], [3, 4]]]}, ['equal length', '[1, 1, 2]']),
        ({'anchors': [[], [], []]}, ['anchors', '[0, 0, 0]']),
        ({'anchors': [[[10, 13]], [[30, 0]], [[1, 2]]]}, ['anchors.levels.1.0.1', 'greater than 0']),
        ({'anchors': 0}, ['anchors', '0']),
        ({'anchors': 2.5}, ['anchors', '2.5']),
        ({'in_chans': 0}, ['in_chans', '0']),
        ({'depth_multiple': 0}, ['depth_multiple']),
        ({'width_multiple': -1}, ['width_multiple', '-1']),
        ({'width_multiple': math.inf}, ['width_multiple', 'finite']),
        ({'depth_multiple': math.nan}, ['depth_multiple']),
        ({'mean': [0.5]}, ['mean', 'in_chans=3', '1']),
        ({'mean': [0.5, 0.5, math.nan]}, ['mean.2', 'finite']),
        ({'in_chans': 1, 'std': [0.5, 0.5, 0.5]}, ['std', 'in_chans=1', '3']),
        ({'std': [0.5, 0.5, 0]}, ['std.2', 'greater than 0']),
        ({'backbone': None}, ['backbone', 'string', 'None']),
    ],
)
def test_bad_settings_are_named(setting, words):
    with pytest.raises(ValueError) as caught:
        DetectorConfig.parse({'backbone': 'resnet18', **setting}, 'my.yaml')
    assert str(caught.value).startswith('my.yaml: ') and all(word in str(caught.value) for word in words)


def test_every_bad_key_is_named_in_one_line():
    with pytest.raises(ValueError) as caught:
        TrainConfig.parse({'epochs': 0, 'lr': -1, 'schedule': 'step', 'ema_decay': 1}, '--set')
    message = str(caught.value)
    assert message.startswith('--set: ') and '\n' not in message
    assert all(f'{key}: ' in message for key in ('epochs', 'lr', 'schedule', 'ema_decay'))
    assert "'cosine' or 'linear'" in message and "(given: 'step')" in message


@pytest.mark.parametrize(
    ('name', 'given'),
    [
        ('lr_backbone', 0), ('lr_backbone', -0.1), ('lr_backbone', math.inf), ('layer_decay', 0), ('layer_decay', 1.1),
        ('freeze_backbone', -1), ('freeze_backbone', 1.5), ('freeze_norm', 'some'), ('grad_checkpointing', 2),
    ],
)  # fmt: skip
def test_bad_settings_of_the_backbone_in_training_are_named(name, given):
    with pytest.raises(ValueError, match=rf'^--set: {name}: .*\(given: '):
        TrainConfig.parse({name: given}, '--set')


def test_parse_names_a_missing_key_and_a_wrong_type():
    with pytest.raises(ValueError, match='^backbone: Field required$'):
        DetectorConfig.parse({})
    with pytest.raises(ValueError, match='^a.yaml: Input should be .*dictionary'):
        DetectorConfig.parse(['resnet18'], 'a.yaml')


@pytest.mark.parametrize(
    'settings',
    [
        {},
        {'class_names': ['größe', 'a b'], 'image_size': [32, 64]},
        {'in_chans': 1, 'mean': [0.5], 'std': [0.25], 'anchors': [[[1, 2.5]], [[3, 4]], [[5, 6]]]},
        {'backbone_args': {'drop_path_rate': 0.1, 'nested': {'a': [1, None, True]}}, 'num_classes': 1},
        {'depth_multiple': 1 / 3, 'width_multiple': 0.1 + 0.2},
    ],
)
def test_json_round_trip(settings):
    config = DetectorConfig(backbone='resnet18', **settings)
    assert through_json(config) == config
    assert hash(config.class_names) is not None and isinstance(through_json(config).anchors[0], tuple)


def test_json_round_trip_of_a_run():
    run = RunConfig(data=DataConfig(data='a', images='b'), train=TrainConfig(lr=0.1, clip_grad=None), image_size=64)
    assert through_json(run) == run


def test_the_given_data_is_not_changed():
    data = {'backbone': 'resnet18', 'class_names': ['cat']}
    DetectorConfig.parse(data)
    assert data == {'backbone': 'resnet18', 'class_names': ['cat']}
