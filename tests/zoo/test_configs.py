import os
from pathlib import Path

import pytest
import timm
import yaml

import mbv3zoo
from mbv3zoo.config.detector import DetectorConfig
from mbv3zoo.zoo.configs import config_folder, load_config, named_configs, named_weights

CONFIGS = named_configs()


def write(folder: Path, text: str | bytes) -> Path:
    path = folder / 'my.yaml'
    path.write_bytes(text if isinstance(text, bytes) else text.encode('utf-8'))
    return path


def test_named_configs():
    assert list(CONFIGS) == sorted(CONFIGS) and {'mbv3_yolo', 'mbv3_yolo_large', 'mbv3_yolo_small'} <= set(CONFIGS)
    assert all(path.is_file() and path.parent == config_folder() for path in CONFIGS.values())


@pytest.mark.parametrize('name', CONFIGS)
def test_every_named_config_is_what_its_file_says_and_builds(name):
    config = load_config(CONFIGS[name])
    said = yaml.safe_load(CONFIGS[name].read_text(encoding='utf-8'))
    size = said.pop('image_size')
    assert config.image_size == (size, size)
    assert said and all(getattr(config, key) == value for key, value in said.items())
    # Nothing else is changed.
    defaults = type(config)(backbone=config.backbone)
    assert all(getattr(config, key) == getattr(defaults, key) for key in type(config).model_fields if key not in said)
    if config.task == 'segmentation':
        assert config.backbone == name.replace('lraspp', 'yolo')
        assert mbv3zoo.create_segmenter(name, device='meta').config.high_stride == 16
        return
    assert timm.is_model(config.backbone)
    assert (config.head == 'decoupled') == name.endswith('_v2')
    if not name.endswith('_v2'):
        # A detector is called like its backbone; a light one says so, and so does one without the last expansion.
        assert config.backbone == name.removesuffix('_light').removesuffix('_slim')
        assert (config.neck == 'light') == name.endswith('_light')
        assert (config.backbone_args.get('last_expansion') is False) == name.endswith(('_light', '_slim'))

    detector = mbv3zoo.create_detector(name, device='meta')
    assert all(parameter.is_meta for parameter in detector.parameters())
    kept = detector.config.model_copy(update={'mean': None, 'std': None, 'licenses': config.licenses})
    assert kept == config
    assert mbv3zoo.create_detector(str(CONFIGS[name]), device='meta').config == detector.config


def test_named_weights_are_whole_folders():
    for name, folder in named_weights().items():
        assert name == folder.name and name.split('.')[0] in CONFIGS
        assert (folder / 'model.safetensors').is_file()


def test_a_config_of_ones_own(tmp_path):
    path = write(
        tmp_path, 'backbone: resnet18\nclass_names: [cat, dog]\nimage_size: [64, 128]\nbackbone_args: {a: 1}\n'
    )
    expected = DetectorConfig(
        backbone='resnet18', class_names=['cat', 'dog'], image_size=(64, 128), backbone_args={'a': 1}
    )
    assert load_config(path) == load_config(str(path)) == expected


def test_a_missing_file_is_named_with_those_that_exist(tmp_path):
    for path in (tmp_path / 'none.yaml', tmp_path):
        with pytest.raises(ValueError) as caught:
            load_config(path)
        assert str(path) in str(caught.value) and 'mbv3_yolo_small' in str(caught.value)


@pytest.mark.parametrize(
    ('text', 'words'),
    [
        ('backbone: [', 'not a YAML file'),
        ('a: b: c', 'not a YAML file'),
        ('{[1]: 2}: 3', 'not a YAML file'),
        (b'\xff\xfe\x00backbone', ':1: the file is UTF-16 text'),
        (b'backbone: \xe4', ':1: the file is not UTF-8 text'),
        ('backbone: resnet18\nbackbone: a', ":2: the key 'backbone' stands twice"),
        ('', 'given NoneType'),
        ('- resnet18', 'given list'),
        ('resnet18', 'given str'),
        ('backbone: resnet18\nnum_clases: 3', "did you mean 'num_classes'"),
        ('backbone: resnet18\nclass_names: no', "class_names must be a list of names, given 'no'"),
        ('backbone: resnet18\nclass_names: [cat, ""]', 'class_names.1: must not be empty'),
        ('backbone: resnet18\nimage_size: 100', 'multiples of 32'),
        ('num_classes: 3', 'backbone: is missing'),
        ('backbone:\nnum_classes: 3', 'backbone: expected a string'),
    ],
)
def test_a_bad_file_is_named_with_what_is_wrong(tmp_path, text, words):
    path = write(tmp_path, text)
    with pytest.raises(ValueError) as caught:
        load_config(path)
    assert str(caught.value).startswith(f'{path}:') and words in str(caught.value)


@pytest.mark.parametrize(
    'value',
    [
        "\"__import__('os').mkdir('{hit}')\"",
        '!!python/object/apply:os.mkdir ["{hit}"]',
        '!!python/name:os.system',
        '!!python/object/new:os.mkdir ["{hit}"]',
    ],
)
@pytest.mark.parametrize('key', ['backbone', 'num_classes', 'anchors', 'activation', 'backbone_args', 'image_size'])
def test_nothing_in_a_file_is_run(tmp_path, key, value):
    hit = tmp_path / 'hit'
    settings = {'backbone': 'resnet18', key: value.format(hit=hit)}
    path = write(tmp_path, '\n'.join(f'{name}: {text}' for name, text in settings.items()))
    with pytest.raises(ValueError):
        mbv3zoo.create_detector(path, device='meta')
    assert not hit.exists() and os.listdir(tmp_path) == ['my.yaml']


def test_yaml_expressions_stay_text(tmp_path):
    config = load_config(write(tmp_path, 'backbone: "1 + 1"\nclass_names: ["nc * 2", "__import__"]\n'))
    assert config.backbone == '1 + 1' and config.class_names == ('nc * 2', '__import__')
