"""Residual blocks that are left out."""

import copy

import numpy as np
import pytest
import timm
import torch
from torch import nn

import mbv3zoo
from mbv3zoo.config.detector import DetectorConfig
from mbv3zoo.models.network import DetectorNetwork
from mbv3zoo.widths.channel_groups import find_groups
from mbv3zoo.widths.narrow import narrow
from mbv3zoo.widths.rebuilt import narrowed_config

# Blocks that add to what they take, by what their families' tables say: those of stride 1, but the first of a stage
# where the number of channels changes.
BLOCKS = {
    'mbv3_yolo_large': ['1.1', '2.1', '2.2', '3.1', '3.2', '3.3', '4.1', '5.1', '5.2'],
    'mbv3_yolo_small': ['1.1', '2.1', '2.2', '3.1', '4.1', '4.2'],
    'resnet18': ['layer1.0', 'layer1.1', 'layer2.1', 'layer3.1', 'layer4.1'],
    'regnety_002': ['s3.b2', 's3.b3', 's3.b4', *(f's4.b{n}' for n in range(2, 8))],
    'efficientnet_lite0': ['1.1', '2.1', '3.1', '3.2', '4.1', '4.2', '5.1', '5.2', '5.3'],
    'cspdarknet_v6_n': ['stages_1.blocks.1', 'stages_2.blocks.1', 'stages_2.blocks.2'],
}


def detector_of(backbone):
    torch.manual_seed(0)
    detector = mbv3zoo.create_detector(DetectorConfig(backbone=backbone, num_classes=3, image_size=64)).eval()
    with torch.no_grad():
        for module in detector.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.weight.uniform_(0.5, 1.5)
                module.bias.uniform_(-0.5, 0.5)
    return detector.requires_grad_(False)


def groups_of(network):
    return find_groups(network, torch.rand(1, 3, 64, 64)).groups


def without(network, groups, block):
    """The network without a block, and the units that groups keep."""
    units = {group.name: 0 if group.block == block else group.units for group in groups}
    smaller = copy.deepcopy(network)
    narrow(smaller, groups, {name: np.arange(count) for name, count in units.items()})
    return smaller, units


class Without(nn.Module):
    """What a block gives where its branch adds nothing: what it takes, and for ResNets with their activation."""

    def __init__(self, block):
        super().__init__()
        self.last = getattr(block, 'act2', None) or getattr(block, 'act3', None) or nn.Identity()

    def forward(self, x):
        return self.last(x)


@pytest.mark.parametrize('backbone', BLOCKS)
def test_blocks_are_found_and_left_out(backbone):
    network, images = detector_of(backbone), torch.rand(1, 3, 64, 64)
    groups = groups_of(network)
    prefix = 'backbone.model.blocks.' if BLOCKS[backbone][0][0].isdigit() else 'backbone.model.'
    names = [f'{prefix}{name}' for name in BLOCKS[backbone]]
    assert sorted({group.block for group in groups} - {''}) == sorted(names)
    for name in (names[0], names[-1]):
        expected = copy.deepcopy(network)
        expected.set_submodule(name, Without(expected.get_submodule(name)))
        smaller, units = without(network, groups, name)
        assert not [*smaller.get_submodule(name).children()]
        for found, other in zip(smaller(images), expected(images), strict=True):
            assert torch.equal(found, other)
        # Its config builds the same.
        rebuilt = DetectorNetwork(narrowed_config(network.config, groups, units)).eval()
        rebuilt.load_state_dict(smaller.state_dict())
        for found, other in zip(rebuilt(images), expected(images), strict=True):
            assert torch.equal(found, other)


def test_a_network_without_any_of_its_blocks_is_saved_fused_and_trained(tmp_path):
    network, images = mbv3zoo.load('mbv3_yolo_small.synth').eval(), torch.rand(1, 3, 64, 64)
    groups = groups_of(network)
    units = {group.name: 0 if group.block else group.units for group in groups}
    narrow(network, groups, {name: np.arange(count) for name, count in units.items()})
    detector = mbv3zoo.Detector(narrowed_config(network.config, groups, units)).eval()
    detector.load_state_dict(network.state_dict())
    source = detector.save_pretrained(tmp_path)
    again = mbv3zoo.load(tmp_path).eval()
    for found, expected in zip(again(images), network(images), strict=True):
        assert torch.equal(found, expected)
    indices = again.backbone.model.feature_info.out_indices
    stock = timm.create_model(f'local-dir:{source}', features_only=True, pretrained=True, out_indices=indices).eval()
    for found, expected in zip(stock(images), again.backbone.model(images), strict=True):
        assert torch.equal(found, expected)
    fused = copy.deepcopy(again).fuse()
    for found, expected in zip(fused(images), network(images), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-3)
    sum(logits.square().mean() for logits in again.train()(images)).backward()
    assert all(parameter.grad is not None for parameter in again.parameters())


class Block(nn.Module):
    def __init__(self, kind):
        super().__init__()
        self.first, self.second = nn.Conv2d(8, 16, 1), nn.Conv2d(16, 8, 1)
        self.beside = nn.Conv2d(8, 8, 3, padding=1, groups=8)
        self.kind = kind

    def forward(self, x):
        branch = self.second(self.first(x).relu())
        if self.kind == 'its input through a layer':
            return self.beside(x) + branch
        if self.kind == 'a branch of the same channels':
            return x + branch + self.beside(x)
        if self.kind == 'not a sum':
            return x * branch.sigmoid()
        if self.kind == 'a norm of its input':
            x = x.relu()
        return x + branch


class Network(nn.Module):
    def __init__(self, kind, calls=1):
        super().__init__()
        self.stem, self.block, self.last = nn.Conv2d(3, 8, 3), Block(kind), nn.Conv2d(8, 4, 1)
        self.calls = calls

    def forward(self, x):
        x = self.stem(x).relu()
        for _ in range(self.calls):
            x = self.block(x)
        return [self.last(x)]


@pytest.mark.parametrize(
    'kind',
    ['its input through a layer', 'a branch of the same channels', 'not a sum', 'a norm of its input'],
)
def test_what_gives_something_else_without_its_channels_stays(kind):
    assert {group.block for group in groups_of(Network(kind).eval())} == {''}


def test_a_block_that_is_used_twice_or_looked_at_stays():
    assert {group.block for group in groups_of(Network('').eval())} == {'', 'block'}
    assert {group.block for group in groups_of(Network('', 2).eval())} == {''}
    network = Network('').eval()
    network.block.second.register_forward_hook(lambda *_: None)
    assert {group.block for group in groups_of(network)} == {''}


def test_hooks_are_gone_afterwards():
    network = Network('').eval()
    groups_of(network)
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in network.modules())
