import re

import pytest
import timm
import torch
from timm.models import group_parameters
from timm.optim import param_groups_layer_decay

from mbv3zoo import create_detector
from mbv3zoo.models.layer_groups import LayerGroups
from mbv3zoo.models.pyramid import PyramidBackbone


def groups(name, size=(224, 224), **kwargs):
    return PyramidBackbone(name, size, device='meta', **kwargs).layer_groups()


# A parameter's name -> its stage, the stem being 0. Written by hand from the architectures.
STAGES = {
    'resnet18': {
        r'(conv1|bn1)\.': 0,
        r'layer1\.': 1,
        r'layer2\.': 2,
        r'layer3\.': 3,
        r'layer4\.': 4,
    },
    'test_vit': {r'model\.(cls_token|pos_embed|patch_embed)': 0} | {rf'model\.blocks\.{i}\.': i + 1 for i in range(6)},
    'swin_tiny_patch4_window7_224': {r'patch_embed\.': 0} | {rf'layers_{i}\.': i + 1 for i in range(4)},
    'efficientnet_b0': {r'(conv_stem|bn1)\.': 0} | {rf'blocks\.{i}\.': i + 1 for i in range(7)},
    'mbv3_yolo_small': {r'(conv_stem|bn1)\.': 0} | {rf'blocks\.{i}\.': i + 1 for i in range(6)},
    'convnext_atto': {r'stem_': 0} | {rf'stages_{i}\.': i + 1 for i in range(4)},
    'crossvit_9_240': {r'model\.(pos_embed|cls_token|patch_embed)': 0}
    | {rf'model\.blocks\.{i}\.': i + 1 for i in range(3)},
    # No group_matcher: by where its maps end.
    'pit_ti_224': {r'model\.(pos_embed|cls_token|patch_embed)': 0}
    | {rf'model\.transformers\.{i}\.': i + 1 for i in range(3)},
}


@pytest.mark.parametrize('name', STAGES)
def test_stages(name):
    found = groups(name).ids(coarse=True)
    for parameter, stage in found.items():
        assert [s for pattern, s in STAGES[name].items() if re.match(pattern, parameter)] == [stage], parameter
    assert set(found.values()) == set(STAGES[name].values())


@pytest.mark.parametrize('coarse', [False, True])
@pytest.mark.parametrize(
    'name',
    ['resnet18', 'test_vit', 'test_vit3', 'swin_tiny_patch4_window7_224', 'convnext_atto', 'hrnet_w18_small', 'vgg11'],
)
def test_order_is_timms(name, coarse):
    """Two parameters are in the same or in different layers, and in the same order, as in timm's whole model."""
    backbone = PyramidBackbone(name, (224, 224), device='meta')
    found = backbone.layer_groups().ids(coarse)
    assert list(found) == [n for n, _ in backbone.model.named_parameters()]
    whole = timm.create_model(name, device='meta')
    timms = group_parameters(whole, whole.group_matcher(coarse=coarse), reverse=True)
    # timm's wrappers write the first dot as an underscore, or put all under 'model.'.
    flat = {n.replace('.', '_'): i for n, i in timms.items()}
    pairs = {(flat[n.removeprefix('model.').replace('.', '_')], i) for n, i in found.items()}
    # One to one, and rising.
    assert len({a for a, _ in pairs}) == len({b for _, b in pairs}) == len(pairs)
    assert [b for _, b in sorted(pairs)] == list(range(len(pairs)))


@pytest.mark.parametrize('name', ['resnet18', 'test_vit', 'convnext_atto', 'pit_ti_224', 'efficientvim_m1', 'vgg11'])
def test_numbers_have_no_gaps_and_fine_ones_refine_coarse_ones(name):
    layers = groups(name)
    fine, coarse = layers.ids(), layers.ids(coarse=True)
    for ids in (fine, coarse):
        assert set(ids.values()) == set(range(max(ids.values()) + 1)) and max(ids.values()) >= 2
    by_fine = sorted((fine[n], coarse[n]) for n in fine)
    assert [c for _, c in by_fine] == sorted(c for _, c in by_fine)
    assert max(fine.values()) >= max(coarse.values())


def test_every_parameter_is_found_in_the_whole_model():
    for name in ('resnet18', 'test_vit4', 'hrnet_w18_small', 'levit_128s', 'crossvit_9_240', 'csatv2', 'vgg11'):
        assert all(own is not None for own in groups(name).names.values()), name


def test_arguments_that_change_the_layers():
    # One block a stage; four stages all the same.
    ids = groups('resnet18', layers=[1, 1, 1, 1]).ids()
    assert max(ids.values()) == 4
    assert max(groups('test_vit', depth=4).ids().values()) == 4
    # A checkpoint is not read again.
    model = timm.create_model('resnet18', features_only=True, device='meta')
    LayerGroups('resnet18', {'checkpoint_path': '/nowhere', 'cache_dir': '/nowhere', 'feature_cls': 'list'}, model)


def test_the_matcher_speaks_of_the_detectors_names():
    layers = groups('resnet18')
    ids = layers.ids()
    match = layers.matcher('backbone.model.')
    assert all(match(f'backbone.model.{name}') == (i,) for name, i in ids.items())
    for name in ('neck.convs.0.weight', 'head.convs.0.bias', 'backbone.levels.0.0.weight', 'conv1.weight'):
        assert match(name) == (float('inf'),)
    coarse = layers.matcher('backbone.model.', coarse=True)
    assert coarse('backbone.model.layer4.1.conv2.weight') == (4,)


def test_no_weight_decay_is_timms():
    assert groups('test_vit').no_weight_decay() == {'model.cls_token', 'model.pos_embed'}
    tables = groups('swin_tiny_patch4_window7_224').no_weight_decay()
    assert len(tables) == 12 and all(name.endswith('relative_position_bias_table') for name in tables)
    assert all(name.startswith('layers_') for name in tables)
    assert groups('resnet18').no_weight_decay() == set()


@pytest.mark.parametrize(('name', 'layers'), [('test_vit', 7), ('resnet18', 9)])
def test_timms_optimizer_understands_a_detector(name, layers):
    detector = create_detector(name, image_size=64, device='meta')
    names = {id(p): n for n, p in detector.named_parameters()}
    scales, decays = {}, {}
    for group in param_groups_layer_decay(detector, 0.05, detector.no_weight_decay(), layer_decay=0.5):
        for parameter in group['params']:
            scales[names[id(parameter)]] = group['lr_scale']
            decays[names[id(parameter)]] = group['weight_decay']
    assert scales.keys() == dict(detector.named_parameters()).keys()
    # Layers made for the detector learn at the full rate.
    own = {s for n, s in scales.items() if not n.startswith('backbone.model.')}
    assert own == {1.0}
    backbone = {n: s for n, s in scales.items() if n.startswith('backbone.model.')}
    steps = sorted(set(backbone.values()) | own)
    assert len(set(backbone.values())) == layers
    assert all(b / a == pytest.approx(2) for a, b in zip(steps, steps[1:], strict=False))
    first = next(n for n in backbone if n.endswith(('conv1.weight', 'patch_embed.proj.weight')))
    assert backbone[first] == min(steps)
    if name == 'test_vit':
        assert decays['backbone.model.model.pos_embed'] == decays['backbone.model.model.cls_token'] == 0
        assert decays['backbone.model.model.patch_embed.proj.weight'] == 0.05
        assert detector.group_matcher(coarse=True)('backbone.model.model.blocks.2.norm1.weight') == (3,)


def test_nothing_is_stored():
    layers = groups('resnet18')
    assert all(p.is_meta for p in layers.whole.parameters())
    real = timm.create_model('test_vit', features_only=True)
    before = {n: p.clone() for n, p in real.named_parameters()}
    again = LayerGroups('test_vit', {'in_chans': 3, 'device': 'cpu'}, real)
    assert all(p.is_meta for p in again.whole.parameters())
    assert all(torch.equal(before[n], p) for n, p in real.named_parameters())


def test_a_model_that_does_not_count_stages():
    """timm's RDNet knows its blocks only."""
    pyramid = PyramidBackbone('rdnet_tiny', (64, 64), device='meta')
    ids = pyramid.layer_groups().ids(coarse=True)
    assert sorted(set(ids.values())) == list(range(max(ids.values()) + 1)) and max(ids.values()) >= 3
    pyramid.freeze_stages(1)
    frozen = [name for name, p in pyramid.named_parameters() if not p.requires_grad]
    assert frozen and all(ids[name.removeprefix('model.')] <= 1 for name in frozen)
