import json

import pytest
import yaml

from mbv3zoo.config.detector import DetectorConfig
from mbv3zoo.config.training import RunConfig
from mbv3zoo.utils.yaml import parse_yaml


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


NAMES = (
    'می\u200cخواهم',
    '\U0001f469\u200d\U0001f680',
    '\u2764\ufe0f',
    '\U0001f3f4\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f',
    'a\u00a0b',
    '猫\u3000犬',
    'שלום\u200f',
    'so\u00adft',
    'no',
    '010',
    '12:30',
    '1_000',
    'null',
    '~',
    '2020-01-01',
    ' spaced ',
    "it's: {a} #1",
    '<b>|*_`',
)


def test_names_of_any_script_come_back_as_they_are():
    config = DetectorConfig(backbone='resnet18', class_names=NAMES)
    assert config.class_names == NAMES
    assert DetectorConfig.parse(json.loads(json.dumps(config.model_dump(mode='json')))).class_names == NAMES
    assert DetectorConfig.model_validate_json(config.model_dump_json()).class_names == NAMES
    for unicode in (True, False):
        text = yaml.safe_dump(config.model_dump(mode='json'), allow_unicode=unicode)
        assert DetectorConfig.parse(parse_yaml(text, 'a.yaml')).class_names == NAMES


@pytest.mark.parametrize(
    'name',
    [
        '',
        ' ',
        '\u00a0',
        'a\nb',
        'a\tb',
        'a\0',
        '\x1b[31m',
        '\u2028',
        '\ud800',
        'a\u202eb',
        'a\u2067',
        '\ufeffcat',
        '\uffff',
    ],
)
def test_names_that_are_no_line_of_text_are_refused(name):
    with pytest.raises(ValueError, match=r'a\.json: class_names\.1: must (not be empty|be one line of text)'):
        DetectorConfig.parse({'backbone': 'resnet18', 'class_names': ['cat', name]}, 'a.json')
