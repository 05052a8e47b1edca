import json
import logging

import pytest
import timm
import torch
from timm.models import _registry, build_model_with_cfg, generate_default_cfgs, register_model
from torch import nn

from mbv3zoo.models.sizes import SIDES, accepted_sizes, accepted_squares, refusal, takes

# Families of our own, each with one rule about sizes, so that what is found can be told beforehand.


class Ruled(nn.Module):
    """Maps at 8, 16, 32; takes the picture that its rule allows."""

    def __init__(self, rule='any', img_size=256, in_chans=3, num_classes=0, device=None, dtype=None):
        super().__init__()
        self.rule = rule
        self.size = (img_size, img_size) if isinstance(img_size, int) else tuple(img_size)
        height, width = self.size
        if rule == 'square':
            assert height == width, 'must be square'
        if rule == 'two' and self.size not in ((256, 256), (384, 384)):
            raise ValueError('256 or 384')
        dd = {'device': device, 'dtype': dtype}
        shapes = ((in_chans, 4, 8, 8), (4, 4, 2, 2), (4, 4, 2, 2))
        self.stages = nn.ModuleList([nn.Conv2d(*shape, **dd) for shape in shapes])
        self.feature_info = [{'num_chs': 4, 'reduction': r, 'module': f'stages.{i}'} for i, r in enumerate((8, 16, 32))]
        self.num_classes = num_classes

    def forward_intermediates(self, x, indices=None, intermediates_only=False, **kwargs):
        given = tuple(x.shape[2:])
        if self.rule == 'least' and min(given) < 96:
            raise RuntimeError('kernel size cannot be greater than input size')
        if self.rule in ('square', 'two', 'built') and given != self.size:
            raise AssertionError(f'{given} is not {self.size}')
        if self.rule == 'broken':
            raise RuntimeError('broken')
        maps = []
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        return [maps[i] for i in indices]

    def prune_intermediate_layers(self, indices=1, prune_norm=False, prune_head=True):
        return indices if isinstance(indices, (list, tuple)) else [0, 1, 2]


def _ruled(name, pretrained, kwargs):
    rule = name.removeprefix('sizes_of_')
    feature_cfg = {'out_indices': (0, 1, 2), 'feature_cls': 'getter'}
    return build_model_with_cfg(Ruled, name, pretrained, feature_cfg=feature_cfg, rule=rule, **kwargs)


def sizes_of_any(pretrained=False, **kwargs):
    return _ruled('sizes_of_any', pretrained, kwargs)


def sizes_of_built(pretrained=False, **kwargs):
    return _ruled('sizes_of_built', pretrained, kwargs)


def sizes_of_square(pretrained=False, **kwargs):
    return _ruled('sizes_of_square', pretrained, kwargs)


def sizes_of_two(pretrained=False, **kwargs):
    return _ruled('sizes_of_two', pretrained, kwargs)


def sizes_of_least(pretrained=False, **kwargs):
    return _ruled('sizes_of_least', pretrained, kwargs)


def sizes_of_broken(pretrained=False, **kwargs):
    return _ruled('sizes_of_broken', pretrained, kwargs)


FAMILIES = [sizes_of_any, sizes_of_built, sizes_of_square, sizes_of_two, sizes_of_least, sizes_of_broken]
BOUND = {'sizes_of_built', 'sizes_of_square', 'sizes_of_two'}
default_cfgs = generate_default_cfgs(
    {f.__name__: {'input_size': (3, 256, 256), 'fixed_input_size': f.__name__ in BOUND} for f in FAMILIES}
)


@pytest.fixture(scope='module', autouse=True)
def _registered():
    logging.getLogger('timm').setLevel(logging.ERROR)
    for family in FAMILIES:
        register_model(family)
    yield
    for family in FAMILIES:
        _registry._clear_model_entries(family.__name__)
        _registry._model_entrypoints.pop(family.__name__)
    assert not any(timm.is_model(f.__name__) for f in FAMILIES)


@pytest.mark.parametrize(
    ('name', 'built', 'given', 'expected'),
    [
        ('sizes_of_any', (64, 96), (128, 32), True),
        ('sizes_of_built', (64, 96), (64, 96), True),
        ('sizes_of_built', (64, 96), (96, 64), False),
        ('sizes_of_square', (64, 96), (64, 96), False),
        ('sizes_of_square', (64, 64), (64, 64), True),
        ('sizes_of_two', (384, 384), (384, 384), True),
        ('sizes_of_two', (384, 384), (256, 256), False),
        ('sizes_of_two', (320, 320), (320, 320), False),
        ('sizes_of_least', (64, 64), (96, 128), True),
        ('sizes_of_least', (64, 64), (64, 128), False),
        ('sizes_of_broken', (64, 64), (64, 64), False),
        # timm's.
        ('resnet18', (64, 96), (128, 32), True),
        ('test_vit', (64, 96), (128, 32), True),
        ('test_vit_relpos', (64, 96), (64, 96), True),
        ('test_vit_relpos', (64, 96), (128, 32), False),
        ('nest_tiny', (64, 96), (64, 96), False),
    ],
)
def test_takes(name, built, given, expected):
    assert takes(name, built, given) is expected


def test_takes_with_other_channels_and_arguments():
    assert takes('resnet18', (64, 64), (64, 64), in_chans=5, act_layer='gelu')
    assert takes('sizes_of_built', (64, 64), (64, 64), in_chans=1, device='cpu')
    # The size is then the user's, not the picture's.
    assert not takes('sizes_of_built', (64, 64), (64, 64), img_size=128)
    assert takes('sizes_of_built', (64, 64), (128, 128), img_size=128)


@pytest.mark.parametrize(
    ('name', 'sides'),
    [
        ('sizes_of_any', list(SIDES)),
        ('sizes_of_square', list(SIDES)),
        ('sizes_of_two', [256, 384]),
        ('sizes_of_broken', []),
    ],
)
def test_accepted_squares(name, sides):
    assert accepted_squares(name) == sides


def test_sides_are_multiples_of_32():
    assert list(SIDES) == sorted(set(SIDES)) and not any(side % 32 for side in SIDES)


@pytest.mark.parametrize(
    ('name', 'words'),
    [
        ('sizes_of_any', 'any'),
        ('sizes_of_least', 'any'),
        ('sizes_of_built', 'any, set when built'),
        ('sizes_of_square', 'squares, set when built'),
        ('sizes_of_two', '256 x 256, 384 x 384'),
        ('sizes_of_broken', 'none'),
        ('resnet18', 'any'),
        ('test_vit_relpos', 'any, set when built'),
    ],
)
def test_accepted_sizes(name, words):
    assert accepted_sizes(name) == words


def test_no_refusal_where_the_size_is_taken():
    assert refusal('sizes_of_any', (64, 96), (128, 32)) is None
    assert refusal('sizes_of_built', (64, 96), (64, 96)) is None


def test_no_refusal_where_the_size_is_not_the_cause():
    assert refusal('sizes_of_broken', (64, 96), (64, 96)) is None
    assert refusal('sizes_of_any', (64, 96), (64, 96), xyzzy=1) is None
    assert refusal('no_such_model', (64, 96), (64, 96)) is None


def test_refusal_of_another_size_than_it_was_built_for():
    text = refusal('sizes_of_built', (64, 96), (128, 160))
    assert "'sizes_of_built'" in text and '64 x 96' in text and '128 x 160' in text and '\n' not in text
    assert 'image_size=(128, 160)' in text


@pytest.mark.parametrize('built', [(320, 320), (256, 256)])
def test_refusal_names_the_sizes_there_are(built):
    text = refusal('sizes_of_two', built, (320, 320))
    assert "'sizes_of_two'" in text and '320 x 320' in text and '\n' not in text
    assert '256 x 256' in text and '384 x 384' in text and '512' not in text
    nearest = refusal('sizes_of_two', (640, 640), (640, 640))
    assert nearest.endswith('image_size=384')
    assert refusal('sizes_of_two', (64, 96), (64, 96)).endswith('image_size=256')


def test_refusal_of_oblong_pictures():
    text = refusal('sizes_of_square', (320, 448), (320, 448))
    assert 'takes all' in text and '320 x 448' in text and text.endswith('image_size=448')


@pytest.mark.parametrize('size', [(64, 64), (64, 96)])
def test_refusal_of_small_pictures_is_true(size):
    """Oblong pictures are fine for this family (96 x 160 is taken): what it wants is larger ones."""
    assert takes('sizes_of_least', (96, 160), (96, 160))
    text = refusal('sizes_of_least', size, size)
    assert f'{size[0]} x {size[1]}' in text and '128' in text
    assert 'squares only' not in text


def test_what_is_advised_is_taken():
    """The size that the line ends with."""
    for name, size in [('sizes_of_two', (320, 320)), ('sizes_of_square', (64, 96)), ('sizes_of_built', (64, 96))]:
        text = refusal(name, size, (640, 32))
        advised = json.loads(text.rpartition('image_size=')[2].replace('(', '[').replace(')', ']'))
        advised = (advised, advised) if isinstance(advised, int) else tuple(advised)
        assert takes(name, advised, advised)


def test_nothing_is_allocated(monkeypatch):
    """Trying sizes costs no memory: the models have no storage."""
    seen = []
    forward = Ruled.forward_intermediates

    def spy(self, x, **kwargs):
        seen.extend([x.device.type, *(p.device.type for p in self.parameters())])
        return forward(self, x, **kwargs)

    monkeypatch.setattr(Ruled, 'forward_intermediates', spy)
    assert takes('sizes_of_any', (64, 64), (1024, 1024), device='cpu')
    assert set(seen) == {'meta'}
    assert torch.get_default_device().type == 'cpu'
