import math
from fractions import Fraction

import pytest
import timm
import torch
from timm.models import FeatureHookNet

from mbv3zoo.backbones.timm_private import FeatureGetterNet
from mbv3zoo.models.timm_model import check_name, default_image_size, make_plan, seen_size

# Names


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
    for call in (check_name, default_image_size, lambda name: make_plan(name, (64, 64))):
        with pytest.raises(ValueError) as caught:
            call(name)
        assert f'unknown backbone {name!r}' in str(caught.value) and near in str(caught.value)


def test_an_unknown_tag_is_refused_with_those_there_are():
    for name in ('mbv3_yolo_small.nope', 'resnet18.nope'):
        with pytest.raises(ValueError, match=f"unknown tag in the backbone '{name}'"):
            check_name(name)
    with pytest.raises(ValueError, match=r'mbv3_yolo_small\.lamb_in1k'):
        check_name('mbv3_yolo_small.nope')


def test_a_known_name_gives_timms_record():
    for name in ('resnet18', 'resnet18.a1_in1k', 'mbv3_yolo_small.lamb_in1k', 'mbv3_yolo_small_exact_se.untrained'):
        assert check_name(name) == timm.get_pretrained_cfg(name)
    assert check_name('mbv3_yolo_large.ra_in1k').mean != check_name('mbv3_yolo_large').mean


# Sizes


@pytest.mark.parametrize(
    ('size', 'unit', 'seen'),
    [
        ((640, 640), 1, (640, 640)),
        ((224, 96), 1, (224, 96)),
        ((640, 640), 14, (644, 644)),
        ((160, 224), 14, (154, 224)),
        ((32, 64), 14, (28, 70)),
        ((640, 256), 120, (600, 240)),
        ((32, 64), 120, (120, 120)),
        ((240, 200), 32, (256, 192)),
        ((16, 48), 32, (32, 64)),
    ],
)
def test_seen_size_is_the_nearest_multiple(size, unit, seen):
    assert seen_size(size, unit) == seen


def test_seen_size_of_all_sides():
    for unit in (1, 7, 14, 28, 32, 120):
        for side in range(32, 1100, 32):
            height, width = seen_size((side, 2 * side), unit)
            assert height % unit == width % unit == 0 and min(height, width) >= unit
            assert abs(height - side) <= max(unit / 2, unit - side)
            assert abs(width - 2 * side) <= max(unit / 2, unit - 2 * side)


@pytest.mark.parametrize(
    ('name', 'size'),
    [
        # Any size.
        ('resnet18', 640),
        ('mbv3_yolo_small', 640),
        ('resnet18.a1_in1k', 640),
        # Trained for one size, but timm lets them have others.
        ('vit_tiny_patch16_224', 640),
        ('test_vit', 640),
        ('swin_tiny_patch4_window7_224', 640),
        ('vit_small_patch14_dinov2', 640),
        # Built for one size.
        ('test_vit_relpos', 160),
        ('nest_tiny', 224),
        ('mixer_s32_224', 224),
        ('pit_ti_224', 224),
        # 240 is no multiple of 32.
        ('crossvit_9_240', 256),
        # A tag's own size.
        ('maxvit_tiny_tf_384', 384),
        ('maxvit_tiny_tf_512.in1k', 512),
    ],
)
def test_default_image_size(name, size):
    assert default_image_size(name) == (size, size)


def test_default_image_size_is_not_below_the_least():
    record = check_name('gemma4_vit_167m')
    size = default_image_size('gemma4_vit_167m')
    assert record.min_input_size and all(a >= b for a, b in zip(size, record.min_input_size[1:], strict=True))
    assert size == tuple(record.input_size[1:])


# Plans


@pytest.mark.parametrize(
    'name', ['resnet18', 'mbv3_yolo_small', 'vgg11', 'hrnet_w18_small', 'efficientvim_m1', 'test_vit', 'csatv2']
)
def test_reductions_and_channels_are_timms(name):
    plan = make_plan(name, (64, 96))
    info = timm.create_model(name, features_only=True, device='meta').feature_info
    all_maps = info.info
    assert plan.reductions == [m['reduction'] for m in all_maps] and all(
        isinstance(r, Fraction) for r in plan.reductions
    )
    assert plan.channels == [m['num_chs'] for m in all_maps]
    # All of them, not only those that timm takes by itself.
    assert len(plan.reductions) >= len(info.reduction())
    assert plan.unit == 1


@pytest.mark.parametrize(
    ('name', 'kwargs', 'unit'),
    [
        ('resnet18', {}, 1),
        ('test_vit', {}, 1),
        ('test_vit', {'patch_size': 14}, 28),
        ('test_vit', {'patch_size': 12}, 24),
        ('vit_small_patch14_dinov2', {}, 28),
        ('convmixer_1024_20_ks9_p14', {}, 28),
        ('convmixer_768_32', {}, 28),
        ('pit_b_224', {}, 28),
        ('crossvit_9_240', {}, 240),
    ],
)
def test_unit(name, kwargs, unit):
    """Every map covers what the model sees with whole cells, and so do the halves made of it (14 -> 28)."""
    plan = make_plan(name, (320, 320), **kwargs)
    assert plan.unit == unit
    assert all((Fraction(plan.unit * 32, 1) / r).denominator == 1 for r in plan.reductions)


def test_reductions_are_exact_where_timm_rounds_them():
    """CrossViT's coarse branch: 14 cells at 240 pixels, which timm calls a reduction of 17."""
    plan = make_plan('crossvit_9_240', (240, 240))
    model = timm.create_model('crossvit_9_240', features_only=True, device='meta')
    assert [round(r) for r in plan.reductions] == [info['reduction'] for info in model.feature_info.info]
    maps = model(torch.empty(1, 3, 240, 240, device='meta'))
    reductions = [plan.reductions[i] for i in model.feature_info.out_indices]
    assert {17} < set(model.feature_info.reduction())
    assert [240 / r for r in reductions] == [x.shape[2] for x in maps]
    # At twice the size too.
    model = timm.create_model('crossvit_9_240', features_only=True, device='meta', img_size=(480, 720))
    maps = model(torch.empty(1, 3, 480, 720, device='meta'))
    assert [(480 / r, 720 / r) for r in reductions] == [tuple(x.shape[2:]) for x in maps]


@pytest.mark.parametrize(
    ('name', 'size', 'bound'),
    [
        ('resnet18', None, False),
        ('test_vit', (64, 96), False),
        ('swin_tiny_patch4_window7_224', (64, 96), False),
        ('test_vit_relpos', (64, 96), True),
        ('nest_tiny', (64, 96), True),
        ('levit_128s', (64, 96), True),
        ('pit_b_224', (56, 84), True),
        ('vit_small_patch14_dinov2', (56, 84), False),
    ],
)
def test_built_for_the_picture_where_timm_allows(name, size, bound):
    plan = make_plan(name, (64, 96))
    assert plan.build_args.get('img_size') == size and plan.bound is bound


def test_flexible_families_are_asked_to_take_other_sizes():
    """What is asked for holds: a model built for one size runs on another."""
    for name in ('test_vit', 'swin_tiny_patch4_window7_224', 'swinv2_cr_tiny_ns_224'):
        plan = make_plan(name, (64, 96))
        assert not plan.bound
        model = timm.create_model(name, features_only=True, **plan.build_args, device='meta')
        model(torch.empty(1, 3, 160, 64, device='meta'))


def test_sizes_given_by_the_user_are_kept():
    assert make_plan('test_vit_relpos', (64, 96), img_size=160).build_args['img_size'] == 160
    fixed = make_plan('test_vit', (64, 96), dynamic_img_size=False)
    assert fixed.build_args['dynamic_img_size'] is False and fixed.bound
    assert 'img_size' not in make_plan('resnet18', (64, 96)).build_args


def test_in_chans_and_arguments_are_for_the_build():
    plan = make_plan('resnet18', (64, 64), 5, act_layer='gelu', device='cpu')
    assert plan.build_args == {'in_chans': 5, 'act_layer': 'gelu', 'device': 'cpu'}


def test_statistics():
    small, large = (make_plan(f'mbv3_yolo_{size}', (64, 64)) for size in ('small', 'large'))
    assert (small.mean, small.std) == ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    assert large.mean == large.std == (0.5, 0.5, 0.5)
    overlay = {'mean': (0.1, 0.2, 0.3)}
    assert make_plan('resnet18', (64, 64), pretrained_cfg_overlay=overlay).mean == (0.1, 0.2, 0.3)


@pytest.mark.parametrize('key', ['out_indices', 'features_only', 'feature_cls'])
def test_what_a_detector_decides_itself(key):
    with pytest.raises(ValueError, match=key):
        make_plan('resnet18', (64, 64), **{key: (1, 2, 3)})


def test_an_argument_that_timm_does_not_take():
    for name in ('resnet18', 'mbv3_yolo_small', 'test_vit', 'nest_tiny'):
        with pytest.raises(ValueError, match=f"backbone '{name}' .*num_clases.* did you mean 'num_classes'"):
            make_plan(name, (64, 64), num_clases=3)
        with pytest.raises(ValueError, match=f"backbone '{name}' .*xyzzy"):
            make_plan(name, (64, 64), xyzzy=3)


def test_a_checkpoint_is_not_read_for_a_plan():
    make_plan('resnet18', (64, 64), checkpoint_path='/nowhere/at/all.pth')


def test_hooks_are_replaced_where_timm_can_do_without():
    """Hooks keep the layers after the last map, and torch.export does not follow them."""
    plan = make_plan('pit_ti_224', (64, 64))
    args = plan.build_args
    assert isinstance(timm.create_model('pit_ti_224', features_only=True, device='meta'), FeatureHookNet)
    assert isinstance(timm.create_model('pit_ti_224', features_only=True, device='meta', **args), FeatureGetterNet)
    assert 'feature_cls' not in make_plan('resnet18', (64, 64)).build_args


def test_a_transformer_of_few_blocks():
    """timm asks for the last three maps by itself; a detector needs one."""
    plan = make_plan('test_vit', (64, 64), depth=2)
    assert plan.reductions == [16, 16] and plan.channels == [64, 64]


def test_nothing_is_computed_for_a_plan(monkeypatch):
    def refuse(self, *args, **kwargs):
        raise AssertionError('a forward pass')

    monkeypatch.setattr(torch.nn.Module, '__call__', refuse)
    for name in ('resnet18', 'test_vit', 'swin_tiny_patch4_window7_224', 'crossvit_9_240', 'levit_128s'):
        make_plan(name, (64, 96))
        default_image_size(name)


def test_units_are_least_common_multiples():
    """Two patches of different sizes: both must fit, and twice the one that C5 is made from by halving."""
    for name in ('crossvit_9_240', 'crossvit_15_dagger_240', 'pit_b_224', 'sequencer2d_s'):
        plan = make_plan(name, (320, 320))
        whole = [r for r in plan.reductions if r.denominator == 1 and r.numerator & (r.numerator - 1) == 0]
        rest = [r for r in plan.reductions if r not in whole]
        rest += [plan.reductions[level.map_index] * 2 for level in plan.levels if level.doublings == -1]
        assert rest and all((plan.unit / r).denominator == 1 for r in rest)
        divisors = [d for d in range(1, plan.unit) if plan.unit % d == 0]
        assert not any(all((d / r).denominator == 1 for r in rest) for d in divisors)
        assert math.gcd(*seen_size((320, 640), plan.unit)) % plan.unit == 0


def test_a_model_that_the_user_asked_to_take_other_sizes_is_not_bound():
    assert not make_plan('test_vit', (64, 96), dynamic_img_size=True).bound
    assert make_plan('test_vit', (64, 96), dynamic_img_size=False).bound
