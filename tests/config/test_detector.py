import json
import math

import pytest

from mbv3zoo.config.detector import DEFAULT_ANCHORS, STRIDES, DetectorConfig


def through_json(config):
    return type(config).parse(json.loads(json.dumps(config.model_dump(mode='json'))))


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


def test_yolov5s_neck_has_a_name_and_files_say_null_for_it_as_before():
    config = DetectorConfig(backbone='resnet18')
    assert config.neck == 'pan' and config == DetectorConfig(backbone='resnet18', neck='pan')
    assert config == DetectorConfig.parse({'backbone': 'resnet18', 'neck': None})
    assert config.model_dump()['neck'] == 'pan' and config.model_dump(mode='json')['neck'] is None
    assert '"neck":null' in config.model_dump_json()
    assert DetectorConfig(backbone='resnet18', neck='light').model_dump(mode='json')['neck'] == 'light'


@pytest.mark.parametrize('neck', ['lite', 'PAN', ''])
def test_an_unknown_neck_is_refused_with_the_known_ones(neck):
    with pytest.raises(ValueError, match=rf"^a\.yaml: neck\.name: expected 'pan'.* 'light'.* \(given: '{neck}'\)$"):
        DetectorConfig.parse({'backbone': 'resnet18', 'neck': neck}, 'a.yaml')
