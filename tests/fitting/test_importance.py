"""What a channel is worth."""

import copy

import numpy as np
import pytest
import torch
from fitting_cases import Chain
from torch import nn

from mbv3zoo.fitting.importance import taylor_importance
from mbv3zoo.widths.channel_groups import find_groups


def loss(maps, target):
    return ((maps - target) ** 2).mean(), None


def case(seed=0):
    torch.manual_seed(seed)
    network = Chain().double().eval()
    for norm in network.norms:
        nn.init.uniform_(norm.weight, 0.5, 1.5)
        nn.init.uniform_(norm.bias, -0.5, 0.5)
    batches = [
        (torch.randint(0, 256, (2, 3, 8, 8), dtype=torch.uint8), torch.rand(2, 4, 8, 8).double()) for _ in range(2)
    ]
    return network, batches, find_groups(network, torch.rand(1, 3, 8, 8).double()).groups


class InDoubles(nn.Module):
    """The images come as floats."""

    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, images):
        return self.network(images.double())


def test_it_is_the_square_of_the_losss_change_to_first_order():
    """By finite differences: gates behind the norms, of which one is turned down a little."""
    network, batches, _ = case()
    network = InDoubles(network).eval()
    groups = find_groups(network, torch.rand(1, 3, 8, 8)).groups
    found = taylor_importance(network, groups, loss, batches)
    assert {name: len(values) for name, values in found.items()} == {'network.a': 64, 'network.b': 96, 'network.c': 32}
    step = 1e-5
    for name, index, channel in (('network.a', 0, 3), ('network.b', 1, 50), ('network.c', 2, 0)):
        expected = 0.0
        for images, target in batches:
            values = []
            for gate in (1 + step, 1 - step):
                changed = copy.deepcopy(network)
                norm = changed.network.norms[index]
                with torch.no_grad():
                    norm.weight[channel] *= gate
                    norm.bias[channel] *= gate
                    values.append(loss(changed(images.float() / 255), target)[0].item())
            expected += ((values[0] - values[1]) / (2 * step)) ** 2
        assert found[name][channel] == pytest.approx(expected, rel=1e-4)


def test_a_channel_that_nothing_reads_is_worth_nothing():
    network, batches, _ = case()
    with torch.no_grad():
        network.b.weight[:, 7] = 0
    network = InDoubles(network).eval()
    groups = find_groups(network, torch.rand(1, 3, 8, 8)).groups
    found = taylor_importance(network, groups, loss, batches)
    assert found['network.a'][7] == 0 and (np.delete(found['network.a'], 7) > 0).mean() > 0.5


def test_layers_without_a_norm_have_an_importance_too():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 16, 1), nn.ReLU(), nn.Conv2d(16, 4, 1)).eval()
    groups = find_groups(network, torch.rand(1, 3, 8, 8)).groups
    batch = torch.randint(0, 256, (2, 3, 8, 8), dtype=torch.uint8), torch.rand(2, 4, 8, 8)
    found = taylor_importance(network, groups, loss, [batch])
    assert (found['0'] > 0).sum() > 8


def test_the_network_is_not_changed():
    network, batches, _ = case()
    network = InDoubles(network).eval()
    before = copy.deepcopy(network.state_dict())
    taylor_importance(network, find_groups(network, torch.rand(1, 3, 8, 8)).groups, loss, batches)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert all(parameter.grad is None for parameter in network.parameters())
