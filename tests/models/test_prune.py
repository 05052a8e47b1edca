import pytest
import timm
import torch

from mbv3zoo.models.prune import prune_unused
from mbv3zoo.models.pyramid import PyramidBackbone

# Families that keep layers behind their last map, wrappers of each kind, and models with parameters of their own kind.
NAMES = [
    'hrnet_w18_small',
    'efficientvim_m1',
    'pit_ti_224',
    'levit_128s',
    'crossvit_9_240',
    'test_vit',
    'test_vit2',
    'test_vit3',
    'test_vit4',
    'test_vit_relpos',
    'test_resnet',
    'test_efficientnet',
    'test_convnext',
    'test_maxvit',
    'mbv3_yolo_small',
    'swin_tiny_patch4_window7_224',
    'csatv2',
    'vgg11',
]


def dead_parameters(outputs, module):
    sum(x.sum() for x in outputs).backward()
    return [name for name, parameter in module.named_parameters() if parameter.grad is None]


@pytest.mark.parametrize('name', NAMES)
def test_every_parameter_reaches_a_level(name):
    size = (128, 192) if 'hrnet' not in name else (64, 64)
    backbone = PyramidBackbone(name, size, device='meta').to('meta').train()
    assert dead_parameters(backbone(torch.empty(2, 3, *size, device='meta')), backbone) == []


@pytest.mark.parametrize('out_indices', [(1,), (2, 3, 4), (0, 2), (1, 4), (0, 1, 2, 3, 4)])
@torch.no_grad()
def test_hrnet_computes_the_same(out_indices):
    torch.manual_seed(0)
    model = timm.create_model('hrnet_w18_small', features_only=True, out_indices=out_indices).eval()
    whole = sum(p.numel() for p in model.parameters())
    images = torch.randn(1, 3, 64, 64)
    expected = model(images)
    prune_unused(model)
    assert all(torch.equal(x, y) for x, y in zip(model(images), expected, strict=True))
    left = sum(p.numel() for p in model.parameters())
    assert left == whole if {1, 2, 3, 4} <= set(out_indices) else left < whole
    with torch.enable_grad():
        dead = dead_parameters(model.train()(torch.randn(2, 3, 64, 64)), model)
    assert dead == []


@torch.no_grad()
def test_efficientvim_computes_the_same():
    torch.manual_seed(0)
    model = timm.create_model('efficientvim_m1', features_only=True).eval()
    images = torch.randn(1, 3, 64, 64)
    expected = model(images)
    names = {name for name, _ in model.named_parameters()}
    prune_unused(model)
    assert all(torch.equal(x, y) for x, y in zip(model(images), expected, strict=True))
    gone = names - {name for name, _ in model.named_parameters()}
    assert gone and all('weights' in name for name in gone)


@pytest.mark.parametrize('name', ['resnet18', 'test_vit', 'mbv3_yolo_small', 'swin_tiny_patch4_window7_224'])
def test_other_families_are_left_alone(name):
    model = timm.create_model(name, features_only=True, device='meta')
    before = {name: tensor.shape for name, tensor in model.state_dict().items()}
    prune_unused(model)
    assert {name: tensor.shape for name, tensor in model.state_dict().items()} == before
