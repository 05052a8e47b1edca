import logging

import pytest
import timm
import torch
from safetensors.torch import save_file
from timm.layers import DropPath
from timm.models import _registry, build_model_with_cfg, register_model
from torch import nn
from torch.nn import functional as F

import mbv3zoo.backbones  # noqa: F401  registers our own models
from mbv3zoo.models.levels import Route
from mbv3zoo.models.pyramid import PyramidBackbone

SIZE = (64, 96)
# Small versions of whole families: timm's own arguments.
SWIN = {'embed_dim': 8, 'depths': (1, 1, 1, 1), 'num_heads': (1, 2, 2, 4), 'window_size': 2}
CROSSVIT = {'depth': [[1, 1, 0]] * 2, 'embed_dim': [32, 64]}
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


def cells(size):
    return [(size[0] // stride, size[1] // stride) for stride in (8, 16, 32)]


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
    for name, kwargs in (('swin_tiny_patch4_window7_224', SWIN), ('test_vit_relpos', {}), ('test_maxvit', {})):
        pyramid = PyramidBackbone(name, size, **kwargs).eval()
        assert [tuple(x.shape[2:]) for x in pyramid(torch.randn(1, 3, *size))] == cells(size)
        assert pyramid.bound is (name != 'swin_tiny_patch4_window7_224')


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


def test_an_argument_that_timm_does_not_take():
    for name in ('resnet18', 'mbv3_yolo_small'):
        with pytest.raises(ValueError, match=f"backbone '{name}' .*num_clases.* did you mean 'num_classes'"):
            PyramidBackbone(name, SIZE, num_clases=3)
        with pytest.raises(ValueError, match=f"backbone '{name}' .*xyzzy"):
            PyramidBackbone(name, SIZE, xyzzy=3)
    # timm says this one by assert.
    with pytest.raises(ValueError, match="'nest_tiny' .*square"):
        PyramidBackbone('nest_tiny', SIZE)


@pytest.mark.parametrize('key', ['out_indices', 'features_only', 'feature_cls'])
def test_what_a_detector_decides_itself(key):
    with pytest.raises(ValueError, match=key):
        PyramidBackbone('resnet18', SIZE, **{key: (1, 2, 3)})


def test_gradients_reach_the_first_convolution():
    for name in ('mbv3_yolo_small', 'swin_tiny_patch4_window7_224'):
        pyramid = PyramidBackbone(name, SIZE, **BACKBONES[name][0])
        sum(x.sum() for x in pyramid(torch.randn(2, 3, *SIZE))).backward()
        assert next(pyramid.parameters()).grad.abs().sum() > 0


# Every route, by name: exact sizes, and what is known of it.

ROUTES = {
    'resnet18': ({}, (64, 96), Route.NATIVE),
    'resnet18 16': ({'output_stride': 16}, (64, 96), Route.COMPLETED),
    'resnet18 8': ({'output_stride': 8}, (64, 96), Route.COMPLETED),
    'csatv2': ({}, (64, 96), Route.NATIVE),
    'visformer_tiny': ({}, (64, 96), Route.NATIVE),
    'hrnet_w18_small': ({}, (64, 96), Route.NATIVE),
    'inception_v3': ({}, (224, 320), Route.NATIVE),
    'nest_tiny': ({}, (128, 128), Route.COMPLETED),
    'levit_128s': ({}, (64, 96), Route.COMPLETED),
    'efficientvim_m1': ({}, (64, 96), Route.COMPLETED),
    'volo_d1_224': ({}, (224, 224), Route.COMPLETED),
    'pit_ti_224': ({}, (64, 96), Route.NATIVE),
    'pit_b_224': ({}, (160, 224), Route.COMPLETED),
    'crossvit_9_240': ({}, (160, 256), Route.COMPLETED),
    'test_vit': ({}, (64, 96), Route.SIMPLE_PYRAMID),
    'test_vit 8': ({'patch_size': 8}, (64, 96), Route.SIMPLE_PYRAMID),
    'test_vit 14': ({'patch_size': 14}, (160, 96), Route.SIMPLE_PYRAMID),
    'test_vit 32': ({'patch_size': 32}, (64, 96), Route.SIMPLE_PYRAMID),
    'test_vit_relpos': ({}, (64, 96), Route.SIMPLE_PYRAMID),
    'convmixer_768_32': ({}, (64, 96), Route.SIMPLE_PYRAMID),
    'mixer_s32_224': ({}, (64, 96), Route.SIMPLE_PYRAMID),
    'vit_small_patch14_dinov2': ({}, (640, 480), Route.SIMPLE_PYRAMID),
    'gemma4_vit_167m': ({}, (768, 768), Route.SIMPLE_PYRAMID),
}


@pytest.mark.parametrize('key', ROUTES)
def test_exact_levels_on_every_route(key):
    kwargs, size, route = ROUTES[key]
    pyramid = PyramidBackbone(key.split()[0], size, device='meta', **kwargs).to('meta')
    assert pyramid.route == route
    maps = pyramid(torch.empty(2, 3, *size, device='meta'))
    assert [tuple(x.shape) for x in maps] == [
        (2, c, *side) for c, side in zip(pyramid.channels, cells(size), strict=True)
    ]
    if route == Route.SIMPLE_PYRAMID:
        assert pyramid.channels == [256] * 3


@pytest.mark.parametrize('key', ['resnet18', 'efficientvim_m1', 'test_vit', 'test_vit 14', 'test_vit 8'])
def test_any_size_where_the_model_is_not_bound(key):
    name, kwargs = key.split()[0], ROUTES[key][0]
    pyramid = PyramidBackbone(name, (64, 64), device='meta', **kwargs).to('meta').eval()
    assert not pyramid.bound
    for size in ((32, 32), (64, 96), (160, 32), (320, 352), (640, 640)):
        assert [tuple(x.shape[2:]) for x in pyramid(torch.empty(1, 3, *size, device='meta'))] == cells(size)


@torch.no_grad()
def test_no_pictures():
    # timm's transformers themselves refuse this.
    for kwargs in ({}, {'output_stride': 8}):
        pyramid = PyramidBackbone('resnet18', SIZE, **kwargs).eval()
        assert [tuple(x.shape) for x in pyramid(torch.randn(0, 3, *SIZE))] == [
            (0, c, *side) for c, side in zip(pyramid.channels, cells(SIZE), strict=True)
        ]


@pytest.mark.parametrize('name', ['mbv3_yolo_small', 'resnet18', 'convnext_atto', 'efficientnet_b0', 'regnetx_002'])
def test_a_native_backbone_has_timms_weights_and_no_others(name):
    """Weights saved before other backbones came in still load."""
    keys = PyramidBackbone(name, SIZE, device='meta').state_dict().keys()
    timms = timm.create_model(name, features_only=True, out_indices=(-3, -2, -1), device='meta').state_dict().keys()
    assert keys == {f'model.{key}' for key in timms}


@torch.no_grad()
def test_maps_at_other_strides():
    pyramid = PyramidBackbone('resnet18', SIZE, map_strides=(4, 16, 64)).eval()
    reference = timm.create_model('resnet18', features_only=True).eval()
    reference.load_state_dict(pyramid.model.state_dict())
    images = torch.randn(2, 3, 128, 192)
    maps = reference(images)
    assert pyramid.strides == [4, 16, 64] and pyramid.channels == [64, 256, 512]
    for own, expected in zip(pyramid(images), (maps[1], maps[3], F.max_pool2d(maps[4], 2)), strict=True):
        assert torch.equal(own, expected)


@pytest.mark.parametrize(('stride', 'reductions'), [(16, [8, 16, 16]), (8, [8, 8, 8])])
@torch.no_grad()
def test_dilated_backbones_are_completed_by_pooling(stride, reductions):
    pyramid = PyramidBackbone('resnet18', SIZE, output_stride=stride).eval()
    assert pyramid.reductions == reductions and pyramid.channels == [128 if stride == 16 else 512, 512, 512]
    reference = timm.create_model('resnet18', features_only=True, output_stride=stride).eval()
    reference.load_state_dict(pyramid.model.state_dict())
    images = torch.randn(2, 3, *SIZE)
    maps = reference(images)
    half, quarter = F.max_pool2d(maps[4], 2), F.max_pool2d(F.max_pool2d(maps[4], 2), 2)
    expected = [maps[2], maps[4], half] if stride == 16 else [maps[4], half, quarter]
    assert all(torch.equal(x, y) for x, y in zip(pyramid(images), expected, strict=True))


@torch.no_grad()
def test_a_missing_fine_level_is_a_deconvolution_of_the_nearest():
    """EfficientViM has 16, 32, 64; the last is not needed."""
    pyramid = PyramidBackbone('efficientvim_m1', (64, 96)).eval()
    assert pyramid.reductions == [16, 16, 32] and pyramid.channels == [64, 128, 192]
    reference = timm.create_model('efficientvim_m1', features_only=True, out_indices=(0, 1)).eval()
    reference.load_state_dict(pyramid.model.state_dict(), strict=False)
    images = torch.randn(2, 3, 64, 96)
    c4, c5 = reference(images)
    weight, bias = pyramid.levels[0].parameters()
    c3 = F.conv_transpose2d(c4, weight, bias, stride=2)
    for x, y in zip(pyramid(images), (c3, c4, c5), strict=True):
        torch.testing.assert_close(x, y)


def channel_norm(x, norm):
    return F.layer_norm(x.permute(0, 2, 3, 1), (x.shape[1],), norm.weight, norm.bias, 1e-6).permute(0, 3, 1, 2)


def simple_pyramid(x, levels):
    """ViTDet's, for a map between strides 11 and 22, step by step."""
    maps = []
    for layers, scale in zip(levels, (2, 1, 0.5), strict=True):
        layers = [layer for layer in layers if list(layer.parameters())]
        y = F.max_pool2d(x, 2, ceil_mode=True) if scale < 1 else x
        if scale > 1:
            up = layers.pop(0)
            y = F.conv_transpose2d(y, up.weight, up.bias, stride=2)
        one, norm, three, last_norm = layers
        y = channel_norm(F.conv2d(y, one.weight), norm)
        maps.append(channel_norm(F.conv2d(y, three.weight, padding=1), last_norm))
    return maps


@pytest.mark.parametrize(('patch', 'seen'), [(16, (64, 96)), (14, (56, 84))])
@torch.no_grad()
def test_a_plain_transformer_step_by_step(patch, seen):
    """The last map of timm's own model, then the simple pyramid; for other patches the picture is resized before, and
    the maps after."""
    pyramid = PyramidBackbone('test_vit', SIZE, patch_size=patch).eval()
    for parameter in pyramid.levels.parameters():
        parameter.add_(0.1 * torch.randn_like(parameter))
    reference = timm.create_model('test_vit', img_size=seen, patch_size=patch, num_classes=0).eval()
    reference.load_state_dict(
        {n.removeprefix('model.'): p for n, p in pyramid.model.state_dict().items()}
        | {n: p for n, p in reference.state_dict().items() if n.startswith(('norm.', 'fc_norm.'))}
    )
    images = torch.randn(2, 3, *SIZE)
    given = images if patch == 16 else F.interpolate(images, seen, mode='bilinear', align_corners=False)
    last = reference.forward_intermediates(given, indices=1, norm=False, intermediates_only=True)[-1]
    expected = [
        x if tuple(x.shape[2:]) == size else F.interpolate(x, size, mode='bilinear', align_corners=False)
        for x, size in zip(simple_pyramid(last, pyramid.levels), cells(SIZE), strict=True)
    ]
    for x, y in zip(pyramid(images), expected, strict=True):
        torch.testing.assert_close(x, y, rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_crossvit_step_by_step():
    """Two branches, at 20 and 14 cells on 240 pixels."""
    size = (256, 256)
    pyramid = PyramidBackbone('crossvit_9_240', size, **CROSSVIT).eval()
    reference = timm.create_model('crossvit_9_240', features_only=True, out_indices=[1, 3], **CROSSVIT).eval()
    reference.load_state_dict(pyramid.model.state_dict())
    images = torch.randn(1, 3, *size)
    fine, coarse = reference(F.interpolate(images, (240, 240), mode='bilinear', align_corners=False))
    assert (fine.shape[2], coarse.shape[2]) == (20, 14) and pyramid.reductions == [12, 17, 17]
    weight, bias = pyramid.levels[0].parameters()
    made = [F.conv_transpose2d(fine, weight, bias, stride=2), coarse, F.max_pool2d(coarse, 2)]
    for x, y, side in zip(pyramid(images), made, (32, 16, 8), strict=True):
        expected = F.interpolate(y, (side, side), mode='bilinear', align_corners=False)
        torch.testing.assert_close(x, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ('name', 'kwargs', 'size'),
    [
        ('test_vit', {}, (160, 192)),
        ('test_vit', {'patch_size': 14}, (160, 192)),
        ('test_vit', {'patch_size': 14}, (224, 320)),
        ('test_vit', {'patch_size': 12}, (160, 192)),
        ('crossvit_9_240', CROSSVIT, (256, 256)),
        ('resnet18', {'output_stride': 16}, (160, 192)),
        ('swin_tiny_patch4_window7_224', SWIN, (160, 192)),
    ],
)
@torch.no_grad()
def test_a_spot_answers_where_it_is(name, kwargs, size):
    """Another spot, the size of a cell of C5, in pictures that are otherwise the same: most changes in that cell."""
    pyramid = PyramidBackbone(name, size, **kwargs).eval()
    for layer in pyramid.levels.modules():
        # What a cell gets from its neighbours is not asked here.
        if isinstance(layer, nn.Conv2d) and layer.kernel_size == (3, 3):
            centre = layer.weight[:, :, 1, 1].clone()
            layer.weight.zero_()[:, :, 1, 1] = centre
    grey = torch.randn(8, 3, *size)
    before = pyramid(grey)
    rows, columns = size[0] // 32, size[1] // 32
    for row, column in {(0, 0), (0, columns - 1), (rows - 1, 0), (rows - 1, columns - 1), (1, 2), (rows // 2, 3)}:
        images = grey.clone()
        images[:, :, 32 * row : 32 * row + 32, 32 * column : 32 * column + 32] = 2 * torch.randn(8, 3, 32, 32)
        for x, y, stride in zip(pyramid(images), before, (8, 16, 32), strict=True):
            change = F.avg_pool2d((x - y).square().sum((0, 1))[None], 32 // stride)[0]
            assert divmod(int(change.argmax()), columns) == (row, column), stride


# Other people's models, registered with timm.


class Averages(nn.Module):
    """Each stage averages: cells are means of the pixels that they cover."""

    def __init__(self, in_chans=3, num_classes=0, true=(8, 16), told=None, device=None, dtype=None):
        super().__init__()
        self.num_classes, self.feature_info = num_classes, []
        before = 1
        for i, (stride, reduction) in enumerate(zip(true, told or true, strict=True)):
            step = stride // before
            stage = nn.Conv2d(4 if i else in_chans, 4, step, step, device=device, dtype=dtype)
            nn.init.constant_(stage.weight, 1 / stage.weight[0].numel())
            nn.init.zeros_(stage.bias)
            self.add_module(f'stage{i}', stage)
            self.feature_info.append({'num_chs': 4, 'reduction': reduction, 'module': f'stage{i}'})
            before = stride

    def forward(self, x):
        for stage in self.children():
            x = stage(x)
        return x


class Last(Averages):
    """Channels last, as Swin."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.output_fmt = 'NHWC'

    def forward(self, x):
        raise AssertionError('not called')

    def forward_intermediates(self, x, indices=None, intermediates_only=False, **kwargs):
        maps = []
        for stage in self.children():
            x = stage(x)
            maps.append(x.permute(0, 2, 3, 1))
        return [maps[i] for i in indices]

    def prune_intermediate_layers(self, indices=1, prune_norm=False, prune_head=True):
        return list(indices) if isinstance(indices, (list, tuple)) else list(range(len(self.feature_info)))


class Old(Averages):
    """Written before timm's `device` and `dtype`."""

    def __init__(self, in_chans=3, num_classes=0):
        super().__init__(in_chans, num_classes)


def third_party_averages(pretrained=False, **kwargs):
    count = len(kwargs.get('true', (8, 16)))
    feature_cfg = {'out_indices': tuple(range(count))}
    return build_model_with_cfg(Averages, 'third_party_averages', pretrained, feature_cfg=feature_cfg, **kwargs)


def third_party_last(pretrained=False, **kwargs):
    feature_cfg = {'out_indices': (0, 1), 'feature_cls': 'getter', 'output_fmt': 'NHWC'}
    return build_model_with_cfg(Last, 'third_party_last', pretrained, feature_cfg=feature_cfg, **kwargs)


def third_party_old(pretrained=False, **kwargs):
    return build_model_with_cfg(Old, 'third_party_old', pretrained, feature_cfg={'out_indices': (0, 1)}, **kwargs)


def third_party_default(pretrained=False, **kwargs):
    return build_model_with_cfg(Averages, 'third_party_default', pretrained, true=(8, 16, 32), **kwargs)


@pytest.fixture
def third_party():
    level = logging.getLogger('timm').level
    logging.getLogger('timm').setLevel(logging.ERROR)
    functions = (third_party_averages, third_party_last, third_party_old, third_party_default)
    for function in functions:
        register_model(function)
    yield
    for function in functions:
        _registry._clear_model_entries(function.__name__)
        _registry._model_entrypoints.pop(function.__name__)
    logging.getLogger('timm').setLevel(level)


@torch.no_grad()
def test_a_third_party_model_is_found_by_its_name(third_party):
    pyramid = PyramidBackbone('third_party_averages', SIZE, true=(4, 8)).eval()
    assert pyramid.route == Route.COMPLETED and pyramid.reductions == [8, 8, 8] and pyramid.channels == [4, 4, 4]
    images = torch.randn(2, 3, *SIZE)
    c3 = F.avg_pool2d(images.mean(1, keepdim=True), 8).expand(-1, 4, -1, -1)
    c4 = F.max_pool2d(c3, 2)
    for x, y in zip(pyramid(images), (c3, c4, F.max_pool2d(c4, 2)), strict=True):
        torch.testing.assert_close(x, y, rtol=1e-4, atol=1e-5)
    ids = pyramid.layer_groups().ids()
    assert ids == {'stage0.weight': 0, 'stage0.bias': 0, 'stage1.weight': 1, 'stage1.bias': 1}


@torch.no_grad()
def test_third_party_maps_with_channels_last(third_party):
    last, first = (PyramidBackbone(f'third_party_{name}', SIZE).eval() for name in ('last', 'averages'))
    first.load_state_dict({n.replace('model.model.', 'model.'): p for n, p in last.state_dict().items()})
    images = torch.randn(2, 3, *SIZE)
    for x, y in zip(last(images), first(images), strict=True):
        torch.testing.assert_close(x, y)
        assert x.is_contiguous()


@torch.no_grad()
def test_a_third_party_model_without_device(third_party):
    pyramid = PyramidBackbone('third_party_old', SIZE).eval()
    assert [tuple(x.shape[2:]) for x in pyramid(torch.randn(1, 3, *SIZE))] == cells(SIZE)


@torch.no_grad()
def test_a_third_party_model_with_fewer_maps_than_timm_asks_for(third_party):
    """timm asks for maps 0 to 4 unless told; a detector tells it."""
    timm.create_model('third_party_default', features_only=True, out_indices=(0, 1, 2))
    pyramid = PyramidBackbone('third_party_default', SIZE).eval()
    assert [tuple(x.shape[2:]) for x in pyramid(torch.randn(1, 3, *SIZE))] == cells(SIZE)


@pytest.mark.parametrize(
    ('true', 'told'),
    [((4, 8, 16), (8, 16, 32)), ((2, 4), (4, 8)), ((8, 16, 32), (4, 8, 16)), ((4, 8), (8, 16)), ((8, 32), (8, 16))],
)
def test_wrong_reductions_are_refused(third_party, true, told):
    """Boxes would silently be put in wrong places."""
    pyramid = PyramidBackbone('third_party_averages', (512, 640), true=true, told=told)
    with pytest.raises(ValueError, match="'third_party_averages'.*feature_info"):
        pyramid(torch.randn(1, 3, 512, 640))


@pytest.mark.parametrize('size', [(160, 160), (224, 224), (320, 320), (640, 640)])
@pytest.mark.parametrize('true', [(8, 16, 32), (4, 8), (16, 32), (7, 14), (14, 28)])
@torch.no_grad()
def test_cells_are_where_the_picture_has_them(third_party, true, size):
    """A picture that brightens from left to right: each cell is as bright as the picture at the cell's centre."""
    pyramid = PyramidBackbone('third_party_averages', size, true=true).eval()
    for layers in pyramid.levels:
        for parameter in layers.parameters():
            parameter.fill_(1 / 4 if parameter.dim() > 1 else 0)

    def ramp(cells):
        return (torch.arange(cells) + 0.5) / cells

    right = ramp(size[1]).expand(1, 3, *size)
    for bright, dark, stride in zip(pyramid(right), pyramid(1 - right), (8, 16, 32), strict=True):
        # Pooling takes the brightest: the mean of a picture and its negative is in the middle.
        found = (bright + 1 - dark)[0, 0, 0] / 2
        # In cells; the outermost have nothing beyond to be interpolated with. A doubled map is in steps of two cells:
        # means over a third of the picture.
        off = (found - ramp(size[1] // stride))[1:-1] * (size[1] // stride)
        assert max(abs(third.mean()) for third in off.tensor_split(3)) < 0.15, stride


# Weights


def test_weights_come_at_another_size_than_they_were_trained_for(tmp_path):
    """timm resamples a transformer's position embedding; all else is loaded as it is."""
    torch.manual_seed(3)
    reference = timm.create_model('test_vit')
    save_file(reference.state_dict(), tmp_path / 'vit.safetensors')
    overlay = {'file': str(tmp_path / 'vit.safetensors')}
    pyramid = PyramidBackbone('test_vit', (64, 96), pretrained=True, pretrained_cfg_overlay=overlay)
    model = pyramid.model.model
    assert torch.equal(model.blocks[3].mlp.fc1.weight, reference.blocks[3].mlp.fc1.weight)
    assert reference.pos_embed.shape[1] != model.pos_embed.shape[1]
    same = PyramidBackbone('test_vit', (160, 160), pretrained=True, pretrained_cfg_overlay=overlay)
    assert torch.equal(same.model.model.pos_embed, reference.pos_embed)


def test_weights_that_fit_no_other_size_say_so(tmp_path):
    save_file(timm.create_model('pit_ti_224').state_dict(), tmp_path / 'pit.safetensors')
    more = {'pretrained': True, 'pretrained_cfg_overlay': {'file': str(tmp_path / 'pit.safetensors')}}
    assert PyramidBackbone('pit_ti_224', (224, 224), **more).channels == [64, 128, 256]
    with pytest.raises(ValueError, match=r"'pit_ti_224' do not fit.*64.*96.*image_size") as caught:
        PyramidBackbone('pit_ti_224', (64, 96), **more)
    assert '\n' not in str(caught.value)
    # Other reasons are not hidden behind the size.
    (tmp_path / 'pit.safetensors').unlink()
    with pytest.raises(Exception) as caught:
        PyramidBackbone('pit_ti_224', (224, 224), **more)
    assert 'do not fit' not in str(caught.value)


# Memory


@pytest.mark.parametrize('name', ['resnet18', 'test_vit', 'swin_tiny_patch4_window7_224'])
def test_checkpointed_gradients_are_the_same(name, monkeypatch):
    kwargs = {'zero_init_last': False} if name == 'resnet18' else SWIN if name.startswith('swin') else {}
    pyramid = PyramidBackbone(name, SIZE, **kwargs).eval()
    images = torch.randn(2, 3, *SIZE)
    used = []
    checkpoint = torch.utils.checkpoint.checkpoint
    monkeypatch.setattr(torch.utils.checkpoint, 'checkpoint', lambda *a, **k: used.append(1) or checkpoint(*a, **k))

    def gradients():
        pyramid.zero_grad()
        sum(x.square().mean() for x in pyramid(images)).backward()
        return [p.grad.clone() for p in pyramid.parameters()]

    plain = gradients()
    assert not used
    pyramid.set_grad_checkpointing()
    for x, y in zip(gradients(), plain, strict=True):
        torch.testing.assert_close(x, y, rtol=1e-4, atol=1e-6)
    assert used
    used.clear()
    pyramid.set_grad_checkpointing(False)
    gradients()
    assert not used


@pytest.mark.parametrize('name', ['convit_tiny'])
def test_a_model_that_cannot_checkpoint_says_so(name):
    pyramid = PyramidBackbone(name, (224, 224), device='meta')
    with pytest.raises(ValueError, match=f"'{name}' cannot checkpoint"):
        pyramid.set_grad_checkpointing()


def test_weights_that_do_not_exist_are_told():
    with pytest.raises(ValueError, match="backbone 'cspdarknet_v6_n' has no weights; leave pretrained out"):
        PyramidBackbone('cspdarknet_v6_n', SIZE, pretrained=True)
