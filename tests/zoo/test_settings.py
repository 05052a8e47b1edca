"""Settings are sorted by what they are about, and all have a name that editors show."""

import ast
import inspect
from itertools import pairwise

import pytest
import torch

from mbv3zoo import DetectorConfig, SegmenterConfig
from mbv3zoo.hub import PullOptions
from mbv3zoo.zoo.settings import DetectorSettings, Given, ModelSettings, SegmenterSettings

BASE = DetectorConfig(backbone='resnet18', class_names=['cat', 'dog'], mean=(0.1, 0.2, 0.3), std=(1, 1, 1))


def test_every_field_and_every_option_has_a_name_and_the_others_a_line_about_them():
    for settings, config in ((DetectorSettings, DetectorConfig), (SegmenterSettings, SegmenterConfig)):
        fields = config.model_fields.keys() - {'task'}
        assert settings.__optional_keys__ >= fields | PullOptions.__optional_keys__
    names = SegmenterSettings.__optional_keys__
    lines = ast.parse(inspect.getsource(ModelSettings)).body[0].body
    told = {
        line.target.id
        for line, after in pairwise(lines)
        if isinstance(line, ast.AnnAssign) and isinstance(after, ast.Expr)
    }
    assert told == names - SegmenterConfig.model_fields.keys() - PullOptions.__optional_keys__


def test_each_setting_is_for_one_place():
    given = Given.of(
        {
            'num_classes': 3, 'activation': 'relu', 'image_size': None, 'aa_layer': 'blurpool', 'device': 'meta',
            'cache_dir': 'here', 'revision': 'v1', 'token': None,
        }
    )  # fmt: skip
    assert given.fields == {'num_classes': 3, 'activation': 'relu'} and given.scaling == {'activation': 'relu'}
    assert given.backbone_args == {'aa_layer': 'blurpool'}
    # timm and the Hub's client keep what they download in the same folder.
    assert given.build_args == {'device': 'meta', 'cache_dir': 'here'}
    assert given.options == {'cache_dir': 'here', 'revision': 'v1', 'token': None}


def test_settings_override_a_config():
    assert Given.of({}).override(BASE) is BASE
    assert Given.of({'num_classes': 2}).override(BASE).class_names == ('cat', 'dog')
    assert Given.of({'num_classes': 3}).override(BASE).class_names == ('0', '1', '2')
    assert Given.of({'class_names': ['owl']}).override(BASE).num_classes == 1
    assert Given.of({'in_chans': 3}).override(BASE).mean == BASE.mean
    assert Given.of({'in_chans': 1}).override(BASE).mean is None
    args = Given.of({'backbone_args': {'a': 1, 'b': 1}, 'b': 2}).override(BASE).backbone_args
    assert args == {'a': 1, 'b': 2}
    with pytest.raises(ValueError, match='num_classes'):
        Given.of({'num_classes': 0}).override(BASE)
    with pytest.raises(ValueError, match='backbone_args: expected a mapping'):
        Given.of({'backbone_args': [1], 'b': 2}).override(BASE)


def test_arguments_for_one_build_are_checked_wherever_they_are_given():
    given = Given.of({'backbone_args': {'dtype': 'torch.float16', 'device': 'meta:0', 'a': 1}, 'checkpoint_path': None})
    assert given.build_args == {'dtype': torch.float16, 'device': 'meta', 'checkpoint_path': None}
    assert given.override(BASE).backbone_args == {'a': 1}
    assert Given.of({'dtype': None, 'device': None}).build_args == {}
    for dtype in (torch.int8, 'int8', torch.float8_e4m3fn, torch.complex64, 'x', 16):
        with pytest.raises(ValueError, match='^dtype must be one of float16, bfloat16'):
            Given.of({'dtype': dtype})
    for device in ('gpu', 'cuda:x', '', -1, 3.5):
        with pytest.raises(ValueError, match="^device must be one of torch's, such as 'cpu'"):
            Given.of({'device': device})
