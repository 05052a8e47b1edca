import re

import pytest
import torch
from timm.layers import DropPath
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from mbv3zoo.models.freezing import batch_norms, freeze, keep_frozen_in_evaluation
from mbv3zoo.models.pyramid import PyramidBackbone

SIZE = (64, 96)


def backbone_of(name, **kwargs):
    torch.manual_seed(0)
    # timm starts a ResNet's residual branches at zero, where they learn nothing in the first step.
    kwargs |= {'zero_init_last': False} if name == 'resnet18' else {}
    return PyramidBackbone(name, SIZE, **kwargs)


def frozen_names(module):
    return {name for name, parameter in module.named_parameters() if not parameter.requires_grad}


def step(backbone, images):
    """What a step of training changes: parameters by SGD, statistics by the forward pass."""
    optimizer = torch.optim.SGD([p for p in backbone.parameters() if p.requires_grad], lr=0.1)
    before = {name: tensor.clone() for name, tensor in backbone.state_dict().items()}
    sum(x.square().mean() for x in backbone(images)).backward()
    optimizer.step()
    return {name for name, tensor in backbone.state_dict().items() if not torch.equal(before[name], tensor)}


# The parts


def test_freeze():
    layers = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    freeze(layers[0].parameters())
    assert frozen_names(layers) == {'0.weight', '0.bias'}
    freeze([])
    assert frozen_names(layers) == {'0.weight', '0.bias'}


def test_batch_norms():
    bare = nn.BatchNorm2d(2, affine=False)
    layers = nn.Sequential(
        nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2), nn.Sequential(nn.LayerNorm(2), nn.BatchNorm1d(3), bare)
    )
    assert [id(m) for m in batch_norms(layers)] == [id(layers[1]), id(layers[2][1]), id(bare)]
    assert batch_norms(nn.LayerNorm(1)) == []


def test_what_is_wholly_frozen_is_kept_in_evaluation():
    block = nn.Sequential(nn.Linear(2, 2), nn.Dropout(0.5))
    layers = nn.Sequential(block, nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2), nn.Dropout(0.5)), nn.Dropout(0.5))
    freeze(block.parameters())
    freeze(layers[1][1].parameters())
    layers.train()
    keep_frozen_in_evaluation(layers)
    training = {name for name, module in layers.named_modules() if module.training}
    # A layer without parameters belongs to the part that it is in.
    assert training == {'', '1', '1.0', '1.2', '2'}
    layers.eval()
    keep_frozen_in_evaluation(layers)
    assert not any(module.training for module in layers.modules())


# Stages


@pytest.mark.parametrize(
    ('name', 'stages', 'pattern'),
    [
        ('resnet18', 1, r'(conv1|bn1|layer1)\.'),
        ('resnet18', 4, r''),
        ('test_vit', 2, r'model\.(cls_token|pos_embed|patch_embed|blocks\.[01]\.)'),
        ('test_vit', 6, r''),
        ('swin_tiny_patch4_window7_224', 2, r'(patch_embed|layers_[01])\.'),
        ('efficientnet_b0', 3, r'(conv_stem|bn1|blocks\.[012])\.'),
        ('mbv3_yolo_small', 1, r'(conv_stem|bn1|blocks\.0)\.'),
        ('pit_ti_224', 1, r'model\.(cls_token|pos_embed|patch_embed|transformers\.0\.)'),
    ],
)
def test_stem_and_stages_are_frozen(name, stages, pattern):
    backbone = PyramidBackbone(name, (224, 224), device='meta')
    backbone.freeze_stages(stages)
    expected = {f'model.{n}' for n, _ in backbone.model.named_parameters() if re.match(pattern, n)}
    assert expected and frozen_names(backbone) == expected
    # What is made for the detector always learns.
    assert all(p.requires_grad for p in backbone.levels.parameters())


@pytest.mark.parametrize(
    ('name', 'last'), [('resnet18', 4), ('test_vit', 6), ('swin_tiny_patch4_window7_224', 4), ('efficientnet_b0', 7)]
)
def test_more_stages_than_there_are(name, last):
    backbone = PyramidBackbone(name, (224, 224), device='meta')
    for stages in (last + 1, 100, -1):
        with pytest.raises(ValueError, match=rf"0\.\.{last}.*'{name}'.*given {stages}"):
            backbone.freeze_stages(stages)
    assert not frozen_names(backbone)
    backbone.freeze_stages(0)
    assert not frozen_names(backbone)


@pytest.mark.parametrize('name', ['resnet18', 'mbv3_yolo_small', 'test_vit', 'efficientvim_m1'])
def test_frozen_stages_do_not_change_and_all_others_do(name):
    backbone = backbone_of(name).train()
    backbone.freeze_stages(2)
    frozen = frozen_names(backbone)
    changed = step(backbone, torch.randn(4, 3, *SIZE))
    assert not changed & frozen
    # Every learning parameter of size was changed; a step may be lost in rounding only for small ones.
    learning = {n for n, p in backbone.named_parameters() if n not in frozen and p.dim() > 1}
    assert len(learning & changed) > 0.9 * len(learning)
    # Statistics of frozen BatchNorms stay, those of others move.
    modules = dict(backbone.named_modules())
    norms = {n: m for n, m in modules.items() if isinstance(m, _BatchNorm)}
    for norm_name, norm in norms.items():
        is_frozen = f'{norm_name}.weight' in frozen
        assert norm.training is not is_frozen
        assert (f'{norm_name}.running_mean' in changed) is not is_frozen


def test_frozen_stages_stay_in_evaluation_whatever_is_called():
    backbone = backbone_of('resnet18', drop_path_rate=0.5, drop_block_rate=0.1)
    backbone.freeze_stages(2)
    outer = nn.ModuleList([backbone])
    for call in (lambda: outer.train(), lambda: backbone.train(True), lambda: outer.eval().train()):
        call()
        model = backbone.model
        assert backbone.training and model.training and model['layer3'].training and model['layer4'].training
        for part in ('conv1', 'bn1', 'layer1', 'layer2'):
            assert not any(m.training for m in model[part].modules())
    outer.eval()
    assert not any(module.training for module in backbone.modules())


def test_all_frozen_computes_in_training_as_in_evaluation():
    images = torch.randn(2, 3, *SIZE)
    for name, stages in (('resnet18', 4), ('test_vit', 6)):
        backbone = backbone_of(name, drop_path_rate=0.5).train()
        assert any(isinstance(m, DropPath) for m in backbone.modules())
        assert not torch.equal(backbone(images)[2], backbone(images)[2])
        backbone.freeze_stages(stages)
        expected = [x.detach() for x in backbone.eval()(images)]
        assert all(torch.equal(x, y) for x, y in zip(backbone.train()(images), expected, strict=True))


def test_freezing_again_adds():
    backbone = PyramidBackbone('resnet18', SIZE, device='meta')
    backbone.freeze_stages(2)
    twice = frozen_names(backbone)
    backbone.freeze_stages(1)
    assert frozen_names(backbone) == twice


# Norms


@pytest.mark.parametrize('name', ['resnet18', 'mbv3_yolo_small'])
def test_frozen_norms_keep_their_statistics_and_weights(name):
    backbone = backbone_of(name).train()
    backbone.freeze_norms()
    norms = {n: m for n, m in backbone.named_modules() if isinstance(m, _BatchNorm)}
    assert frozen_names(backbone) == {f'{n}.{p}' for n in norms for p in ('weight', 'bias')}
    changed = step(backbone, torch.randn(4, 3, *SIZE))
    assert changed and not any(name.rpartition('.')[0] in norms for name in changed)
    backbone.eval().train()
    assert not any(norm.training for norm in norms.values()) and backbone.model.training


def test_freezing_in_evaluation_mode_stays_there():
    backbone = backbone_of('resnet18').eval()
    backbone.freeze_norms()
    backbone.freeze_stages(1)
    assert not any(module.training for module in backbone.modules())


def test_a_backbone_without_batch_norm_has_none_to_freeze():
    backbone = backbone_of('test_vit').train()
    backbone.freeze_norms()
    assert not frozen_names(backbone) and all(module.training for module in backbone.modules())
