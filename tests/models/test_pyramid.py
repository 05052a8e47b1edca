import pytest
import timm
import torch
from timm.layers import DropPath
from timm.models.swin_transformer import SwinTransformer
from torch import nn

import mbv3zoo.backbones  # noqa: F401  registers our own models
from mbv3zoo.models.pyramid import PyramidBackbone, check_name

SIZE = (64, 96)
# Small versions of whole families: timm's own arguments.
SWIN = {'embed_dim': 8, 'depths': (1, 1, 1, 1), 'num_heads': (1, 2, 2, 4), 'window_size': 2}
DENSENET = {'growth_rate': 8, 'block_config': (1, 1, 2, 1)}

# Name and arguments, and the channels of C3, C4, C5 where they are well known.
BACKBONES = {
    'mbv3_yolo_small': ({}, [24, 48, 576]),
    'mbv3_yolo_large': ({}, [40, 112, 960]),
    'resnet18': ({}, [128, 256, 512]),
    'convnext_atto': ({}, [80, 160, 320]),
    'swin_tiny_patch4_window7_224': (SWIN, [16, 32, 64]),
    'densenet121': (DENSENET, None),
    'regnetx_002': ({}, [56, 152, 368]),
    'efficientnet_b0': ({}, [40, 112, 320]),
}


def timm_model(name, kwargs, **more):
    size = {'img_size': SIZE} if name.startswith('swin') else {}
    return timm.create_model(name, features_only=True, **size, **kwargs, **more)


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


@pytest.mark.parametrize('name', BACKBONES)
@torch.no_grad()
def test_features_are_timms(name):
    kwargs, channels = BACKBONES[name]
    pyramid = PyramidBackbone(name, SIZE, **kwargs).eval()
    reference = timm_model(name, kwargs).eval()
    reference.load_state_dict(pyramid.model.state_dict())
    images = torch.randn(2, 3, *SIZE)
    features, expected = pyramid(images), reference(images)[-3:]
    if name.startswith('swin'):
        expected = [x.permute(0, 3, 1, 2) for x in expected]
    for x, y, stride, width in zip(features, expected, (8, 16, 32), pyramid.channels, strict=True):
        assert x.shape == (2, width, SIZE[0] // stride, SIZE[1] // stride)
        assert torch.equal(x, y)
    info = reference.feature_info
    assert info.reduction()[-3:] == [8, 16, 32] and info.channels()[-3:] == pyramid.channels
    assert channels is None or channels == pyramid.channels


@pytest.mark.parametrize('in_chans', [1, 4])
@pytest.mark.parametrize('name', ['mbv3_yolo_small', 'resnet18', 'swin_tiny_patch4_window7_224'])
def test_other_numbers_of_channels(name, in_chans):
    pyramid = PyramidBackbone(name, SIZE, in_chans=in_chans, **BACKBONES[name][0])
    first = next(module for module in pyramid.modules() if isinstance(module, nn.Conv2d))
    assert first.in_channels == in_chans
    assert [len(x) for x in pyramid.eval()(torch.randn(2, in_chans, *SIZE))] == [2, 2, 2]


@pytest.mark.parametrize('size', [(64, 64), (32, 96)])
def test_a_family_for_one_size_is_built_for_ours(size):
    pyramid = PyramidBackbone('swin_tiny_patch4_window7_224', size, **SWIN).eval()
    assert [tuple(x.shape[2:]) for x in pyramid(torch.randn(1, 3, *size))] == [
        (size[0] // s, size[1] // s) for s in (8, 16, 32)
    ]
    # It is the whole model that got the size.
    assert isinstance(pyramid.model, SwinTransformer) or pyramid.channels_last


def test_arguments_reach_timm():
    def rates(model):
        return [module.drop_prob for module in model.modules() if isinstance(module, DropPath)]

    for name in ('resnet18', 'mbv3_yolo_small', 'convnext_atto'):
        pyramid = PyramidBackbone(name, SIZE, drop_path_rate=0.2)
        assert rates(pyramid) and rates(pyramid) == rates(timm_model(name, {'drop_path_rate': 0.2}))
        assert max(rates(pyramid)) > 0.1 and not rates(PyramidBackbone(name, SIZE))

    assert not any(isinstance(m, nn.ReLU) for m in PyramidBackbone('resnet18', SIZE, act_layer='gelu').modules())
    double = PyramidBackbone('resnet18', SIZE, dtype=torch.float64)
    assert {p.dtype for p in double.parameters()} == {torch.float64}
    meta = PyramidBackbone('resnet18', SIZE, device='meta')
    assert all(p.is_meta for p in meta.parameters()) and meta.channels == [128, 256, 512]


def test_levels_of_other_strides_are_not_asked_for():
    """A model whose pyramid goes on to stride 64, or starts at 1, gives its maps of 8, 16 and 32 all the same."""
    strides = {
        'vgg11': [1, 2, 4, 8, 16, 32],
        'dla46_c': [2, 4, 8, 16, 32],
        'visformer_tiny': [8, 16, 32],
        'csatv2': [8, 16, 32, 64],
    }
    for name, reductions in strides.items():
        assert timm.create_model(name, features_only=True, device='meta').feature_info.reduction() == reductions
        pyramid = PyramidBackbone(name, (224, 224), device='meta')
        assert [x.shape[2] for x in pyramid(torch.empty(1, 3, 224, 224, device='meta'))] == [28, 14, 7]


def test_statistics():
    small, large = (PyramidBackbone(f'mbv3_yolo_{size}', SIZE, device='meta') for size in ('small', 'large'))
    assert small.mean == (0.485, 0.456, 0.406) and small.std == (0.229, 0.224, 0.225)
    assert large.mean == large.std == (0.5, 0.5, 0.5)
    # Another tag of the same network was trained otherwise.
    assert PyramidBackbone('mbv3_yolo_large.ra_in1k', SIZE, device='meta').mean == small.mean
    ours = {'pretrained_cfg_overlay': {'mean': (0.1, 0.2, 0.3)}}
    assert PyramidBackbone('mbv3_yolo_small', SIZE, device='meta', **ours).mean == (0.1, 0.2, 0.3)


@pytest.mark.parametrize(
    ('name', 'kwargs', 'strides'),
    [
        ('vit_tiny_patch16_224', {}, '[16, 16,'),
        ('nest_tiny', {'img_size': 224}, '[4, 8, 16]'),
        ('resnet18', {'output_stride': 16}, '[2, 4, 8, 16, 16]'),
        ('mbv3_yolo_small', {'output_stride': 8}, '[2, 4, 8, 8, 8]'),
        ('convmixer_768_32', {}, '[7, 7, 7,'),
    ],
)
def test_a_backbone_without_the_strides_is_refused(name, kwargs, strides):
    with pytest.raises(ValueError) as caught:
        PyramidBackbone(name, SIZE, **kwargs)
    message = str(caught.value)
    assert repr(name) in message and strides in message and '[8, 16, 32]' in message and 'resnet18' in message


@pytest.mark.parametrize(
    ('name', 'near'),
    [
        ('resnet81', 'resnet18'),
        ('mbv3_yolo_smal', 'mbv3_yolo_small'),
        ('mobilenet_v3_small', 'mobilenetv3_small'),
        ('mbv3_yolo_smal.lamb_in1k', 'mbv3_yolo_small'),
        ('', 'timm.list_models()'),
        ('§§§', 'timm.list_models()'),
    ],
)
def test_an_unknown_name_is_refused_with_near_ones(name, near):
    with pytest.raises(ValueError) as caught:
        PyramidBackbone(name, SIZE)
    assert f'unknown backbone {name!r}' in str(caught.value) and near in str(caught.value)


def test_an_unknown_tag_is_refused_with_those_there_are():
    for name in ('mbv3_yolo_small.nope', 'resnet18.nope'):
        with pytest.raises(ValueError, match=f"unknown tag in the backbone '{name}'"):
            PyramidBackbone(name, SIZE)
    with pytest.raises(ValueError, match='mbv3_yolo_small.lamb_in1k'):
        check_name('mbv3_yolo_small.nope')
    check_name('mbv3_yolo_small.lamb_in1k')
    check_name('mbv3_yolo_small_exact_se.untrained')


def test_an_argument_that_timm_does_not_take():
    for name in ('resnet18', 'mbv3_yolo_small'):
        with pytest.raises(ValueError, match=f"backbone '{name}' .*num_clases.* did you mean 'num_classes'"):
            PyramidBackbone(name, SIZE, num_clases=3)
        with pytest.raises(ValueError, match=f"backbone '{name}' .*xyzzy"):
            PyramidBackbone(name, SIZE, xyzzy=3)
    # timm says this one by assert.
    with pytest.raises(ValueError, match="'nest_tiny' .*square"):
        PyramidBackbone('nest_tiny', SIZE)


@pytest.mark.parametrize('key', ['out_indices', 'features_only'])
def test_what_a_detector_decides_itself(key):
    with pytest.raises(ValueError, match=key):
        PyramidBackbone('resnet18', SIZE, **{key: (1, 2, 3)})


def test_gradients_reach_the_first_convolution():
    for name in ('mbv3_yolo_small', 'swin_tiny_patch4_window7_224'):
        pyramid = PyramidBackbone(name, SIZE, **BACKBONES[name][0])
        sum(x.sum() for x in pyramid(torch.randn(2, 3, *SIZE))).backward()
        assert next(pyramid.parameters()).grad.abs().sum() > 0
