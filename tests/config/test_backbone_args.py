import json
from enum import StrEnum
from fractions import Fraction
from functools import partial

import numpy as np
import pytest
import torch
from torch import nn

from mbv3zoo.config.backbone_args import check_backbone_args, plain_args
from mbv3zoo.config.detector import DetectorConfig


@pytest.mark.parametrize(
    'args',
    [
        {},
        {'drop_path_rate': 0.1, 'act_layer': 'silu', 'img_size': [224, 320], 'strict': None, 'flag': True},
        {'depth': 512, 'embed_dim': 16384, 'num_layers': (2, 512), 'offset': -16384},
    ],
)
def test_what_shapes_a_network_may_be_set(args):
    check_backbone_args(args, 'a.yaml')


@pytest.mark.parametrize(
    'name',
    ['checkpoint_path', 'cache_dir', 'pretrained', 'pretrained_cfg', 'pretrained_cfg_overlay', 'features_only']
    + ['out_indices', 'feature_cls', 'device', 'dtype', 'in_chans', 'name', 'image_size', 'map_strides'],
)
def test_what_reads_files_or_is_the_callers_may_not(name):
    with pytest.raises(ValueError, match=f'^a.yaml sets {name} for the backbone, which a config file may not set'):
        check_backbone_args({'drop_path_rate': 0.1, name: 1}, 'a.yaml')


def test_all_that_may_not_be_set_are_named():
    with pytest.raises(ValueError, match='sets device, name for the backbone'):
        check_backbone_args({'name': 'a', 'depth': 10**6, 'device': 'cpu'}, 'a.yaml')


@pytest.mark.parametrize(
    ('args', 'most'),
    [
        ({'depth': 513}, 512),
        ({'depths': [2, 2, 1000]}, 512),
        ({'num_layers': -513}, 512),
        ({'embed_dim': 16385}, 16384),
        ({'embed_dims': (1, 10**9)}, 16384),
        ({'mlp_ratio': float('inf')}, 16384),
        ({'mlp_ratio': float('nan')}, 16384),
    ],
)
def test_numbers_far_beyond_any_model(args, most):
    with pytest.raises(ValueError, match=rf'sets {next(iter(args))}=.* for the backbone, expected at most {most}$'):
        check_backbone_args(args, 'a.yaml')


class _Layout(StrEnum):
    NHWC = 'nhwc'


def test_a_config_holds_the_values_that_its_json_has():
    given = {
        'layers': (1, (2, np.int64(3))), 'rate': np.float32(0.5), 'pool': np.bool_(True), 'third': Fraction(1, 4),
        'format': _Layout.NHWC, 'block_args': {'sizes': (7, None)},
    }  # fmt: skip
    config = DetectorConfig(backbone='resnet18', backbone_args=given)
    assert config.backbone_args == {
        'layers': [1, [2, 3]], 'rate': 0.5, 'pool': True, 'third': 0.25,
        'format': 'nhwc', 'block_args': {'sizes': [7, None]},
    }  # fmt: skip
    assert DetectorConfig.parse(json.loads(config.model_dump_json())) == config


@pytest.mark.parametrize(
    ('value', 'shown'),
    [
        (nn.BatchNorm2d, 'the class BatchNorm2d'),
        (partial(nn.BatchNorm2d, eps=1e-3), 'a partial'),
        (lambda: nn.ReLU(), 'a function'),
        (torch.tensor(0.1), 'a Tensor'),
        (torch.float16, 'a dtype'),
        (np.ones(2), 'a ndarray'),
        ({1, 2}, 'a set'),
        (float('nan'), 'a float, nan'),
        (b'relu', 'a bytes'),
        ({1: 2}, 'a dict'),
        ([1, nn.ReLU], 'the class ReLU'),
        ({'act_layer': nn.ReLU}, 'the class ReLU'),
    ],
)
def test_what_json_cannot_hold_is_refused_when_the_config_is_made(value, shown):
    with pytest.raises(ValueError, match=f"backbone_args: norm_layer is {shown}.* norm_layer='batchnorm2d'"):
        DetectorConfig(backbone='resnet18', backbone_args={'norm_layer': value})


def test_a_list_within_itself_is_refused():
    endless = []
    endless.append(endless)
    with pytest.raises(ValueError, match='a list, .*config.json cannot hold'):
        plain_args({'layers': endless})
    with pytest.raises(ValueError, match='names of arguments must be strings, given 1'):
        plain_args({1: 2})
