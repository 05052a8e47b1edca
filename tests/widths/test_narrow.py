import copy

import numpy as np
import pytest
import torch
from torch import nn

import mbv3zoo
from mbv3zoo.config.detector import DetectorConfig
from mbv3zoo.widths.named import groups_of
from mbv3zoo.widths.narrow import narrow


class Everything(nn.Module):
    """A sum, a concatenation, a depthwise and a grouped convolution, squeeze and excitation, a linear layer."""

    def __init__(self):
        super().__init__()
        self.stem, self.norm = nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8)
        self.deep = nn.Conv2d(8, 16, 3, padding=1, groups=8, bias=False)
        self.reduce, self.expand = nn.Conv2d(16, 4, 1), nn.Conv2d(4, 16, 1)
        self.wide = nn.Conv2d(16, 24, 1, groups=4)
        self.back = nn.Conv2d(24, 8, 1)
        self.out, self.linear = nn.Conv2d(32, 6, 1), nn.Linear(6, 5)

    def forward(self, x):
        x = self.norm(self.stem(x)).relu()
        y = self.deep(x)
        y = y * self.expand(self.reduce(y.mean((2, 3), keepdim=True)).relu()).sigmoid()
        wide = self.wide(y)
        x = x + self.back(wide.relu())
        return [self.linear(self.out(torch.cat([wide, x], 1)).relu().mean((2, 3)))]


def network_of(name):
    torch.manual_seed(0)
    if name == 'everything':
        network = Everything()
    elif name.startswith('mbv3_'):
        network = mbv3zoo.create_detector(name, num_classes=4, image_size=64)
    else:
        network = mbv3zoo.create_detector(DetectorConfig(backbone=name, num_classes=4, image_size=64))
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.weight.uniform_(0.5, 1.5)
                module.bias.uniform_(-0.5, 0.5)
                module.running_mean.uniform_(-0.2, 0.2)
                module.running_var.uniform_(0.5, 1.5)
            elif isinstance(module, nn.Conv2d):
                # Wide enough that every layer matters to what comes out.
                module.weight.normal_(0, (2 / module.weight[0].numel()) ** 0.5)
    return network.eval().requires_grad_(False)


def some_units(groups, share, seed=0):
    random = np.random.default_rng(seed)
    return {g.name: np.sort(random.permutation(g.units)[: max(1, int(g.units * share))]) for g in groups}


def without_readers(network, groups, kept):
    """The full network in which no weight reads the channels that are not kept."""
    full = copy.deepcopy(network)
    weights = dict(full.named_parameters())
    for group in groups:
        gone = np.setdiff1d(np.arange(group.units), kept[group.name])
        for name, dimension, indices in group.places:
            if dimension == 1:
                weights[name].index_fill_(1, torch.from_numpy(indices[gone].ravel()), 0)
    return full


def spread(maps):
    """Standard deviation over images and cells, as biases alone make outputs differ from one another."""
    return max(x.flatten(0, -2).std(0).mean().item() for x in maps)


def assert_same(maps, expected):
    most = max((one - other).abs().max().item() for one, other in zip(maps, expected, strict=True))
    assert most < 1e-4 * spread(expected)


NETWORKS = [
    'everything', 'mbv3_yolo_small', 'mbv3_yolo_medium_v2', 'resnet18', 'mobilenetv4_conv_small',
    'efficientnet_lite0', 'regnety_002',
]  # fmt: skip


@pytest.mark.parametrize('name', NETWORKS)
def test_computes_as_if_nothing_read_the_channels_that_are_gone(name):
    network = network_of(name)
    groups = groups_of(network, 3)
    kept = some_units(groups, 0.7)
    images = torch.randn(2, 3, 64, 64)
    before, expected = network(images), without_readers(network, groups, kept)(images)
    weights = sum(weight.numel() for weight in network.parameters())
    narrow(network, groups, kept)
    assert sum(weight.numel() for weight in network.parameters()) < 0.7 * weights
    assert_same(network(images), expected)
    # What was removed mattered.
    assert max((a - b).abs().max() for a, b in zip(before, expected, strict=True)) > 0.3 * spread(expected)


def test_keeps_the_weights_of_what_is_named_and_leaves_other_groups_alone():
    network = network_of('everything')
    groups = groups_of(network, 3)
    assert {group.name: (group.units, group.size) for group in groups} == {
        'stem': (4, 2), 'reduce': (4, 1), 'out': (6, 1),
    }  # fmt: skip
    before = copy.deepcopy(network.state_dict())
    narrow(network, groups, {'reduce': np.array([3, 1]), 'out': np.arange(6)})
    changed = {
        'reduce.weight': before['reduce.weight'][[1, 3]],
        'reduce.bias': before['reduce.bias'][[1, 3]],
        'expand.weight': before['expand.weight'][:, [1, 3]],
    }
    assert all(torch.equal(tensor, (before | changed)[name]) for name, tensor in network.state_dict().items())
    assert network.state_dict().keys() == before.keys()


def test_layers_know_their_new_numbers_of_channels():
    network = network_of('everything')
    # The channels of each of the four groups of `wide` go together, and with them those that they are made from.
    narrow(network, groups_of(network, 3), {'stem': np.array([0, 2, 3]), 'out': np.arange(2)})
    found = {
        name: (layer.in_channels, layer.out_channels, layer.groups)
        for name, layer in network.named_children()
        if isinstance(layer, nn.Conv2d)
    }
    assert found == {
        'stem': (3, 6, 1), 'deep': (6, 12, 6), 'reduce': (12, 4, 1), 'expand': (4, 12, 1), 'wide': (12, 18, 3),
        'back': (18, 6, 1), 'out': (24, 2, 1),
    }  # fmt: skip
    assert network.norm.num_features == 6 and (network.linear.in_features, network.linear.out_features) == (2, 5)


def test_parameters_stay_parameters_that_are_trained_or_not():
    network = network_of('everything').requires_grad_(True)
    network.expand.requires_grad_(False)
    narrow(network, (groups := groups_of(network, 3)), some_units(groups, 0.5))
    assert all(weight.requires_grad != name.startswith('expand.') for name, weight in network.named_parameters())
    assert 'norm.running_mean' in dict(network.named_buffers())
    network.train()(torch.randn(2, 3, 8, 8))[0].sum().backward()
    assert network.stem.weight.grad.shape == network.stem.weight.shape == (4, 3, 3, 3)


@pytest.mark.parametrize('name', ['everything', 'mbv3_yolo_small'])
def test_a_narrower_network_can_be_made_narrower_again(name):
    network = network_of(name)
    images = torch.randn(2, 3, 64, 64)
    for seed in range(2):
        groups = groups_of(network, 3)
        kept = some_units(groups, 0.75, seed)
        expected = without_readers(network, groups, kept)(images)
        narrow(network, groups, kept)
        assert_same(network(images), expected)
        assert {group.name: group.units for group in groups_of(network, 3)} == {
            name: len(units) for name, units in kept.items() if len(units) > 1
        }


def test_one_unit_of_everything_is_enough():
    network = network_of('everything')
    groups, images = groups_of(network, 3), torch.randn(2, 3, 16, 16)
    kept = {group.name: np.array([group.units - 1]) for group in groups}
    expected = without_readers(network, groups, kept)(images)
    narrow(network, groups, kept)
    assert_same(network(images), expected)
    # The one group of `wide` that is left is an ordinary convolution, of which each channel can be removed.
    assert network.wide.groups == 1
    assert [(group.name, group.units, group.size) for group in groups_of(network, 3)] == [
        ('stem', 2, 1), ('wide', 6, 1),
    ]  # fmt: skip


def test_a_feature_extractor_that_ends_before_is_made_narrower_as_far_as_it_goes():
    network = network_of('everything')
    groups = groups_of(network, 3)
    del network.linear
    narrow(network, groups, {'out': np.arange(4)})
    assert network.out.out_channels == 4
