"""Objects that are still the same are known as such; what was changed never is."""

import gc
import weakref

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations

from mbv3zoo.models.same_objects import SameObjects


class Part(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.norm, self.act = nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.LeakyReLU(0.1)
        self.sizes, self.scale = [1, {'a': [2]}], (1.0, 2.0)
        self.function = lambda x, held=[3]: x * held[0]  # noqa: B006  it is to be changed
        self.kept = torch.zeros(3)

    def forward(self, x):
        return self.act(self.norm(self.conv(x)))


@pytest.fixture
def network():
    return nn.Sequential(Part(), nn.Identity())


def test_numbers_in_tensors_are_not_looked_at(network):
    objects = SameObjects(network)
    network[0].conv.weight.data.add_(1)
    network(torch.rand(2, 3, 4, 4))
    assert objects.are_those_of(network)


CHANGES = {
    'another module': lambda n: n.__setitem__(1, nn.Identity()),
    'one more module': lambda n: n.append(nn.Identity()),
    'another activation': lambda n: setattr(n[0], 'act', nn.ReLU()),
    'a setting': lambda n: setattr(n[0].act, 'negative_slope', 0.2),
    'a setting of the root': lambda n: setattr(n, 'note', 'x'),
    'a list in place': lambda n: n[0].sizes[1]['a'].append(3),
    'what a function holds': lambda n: n[0].function.__defaults__[0].append(4),
    'another parameter': lambda n: setattr(n[0].conv, 'weight', nn.Parameter(n[0].conv.weight.detach().clone())),
    'another buffer': lambda n: setattr(n[0].norm, 'running_mean', n[0].norm.running_mean.clone()),
    'no bias': lambda n: setattr(n[0].conv, 'bias', None),
    'another plain tensor': lambda n: setattr(n[0], 'kept', torch.ones(3)),
    'training': lambda n: n[0].norm.eval(),
    'a hook': lambda n: n[0].register_forward_hook(lambda *args: None),
    'a hook of the root': lambda n: n.register_forward_pre_hook(lambda *args: None),
    'a forward': lambda n: setattr(n[0].act, 'forward', torch.relu),
    'another class': lambda n: parametrizations.weight_norm(n[0].conv),
}


@pytest.mark.parametrize('change', CHANGES.values(), ids=CHANGES.keys())
def test_a_change_is_noticed(network, change):
    objects = SameObjects(network)
    assert objects.are_those_of(network)
    change(network)
    assert not objects.are_those_of(network)


def test_hooks_are_never_sure_as_they_may_hold_what_changes(network):
    network[0].register_forward_hook(lambda *args: None)
    assert not SameObjects(network).are_those_of(network)


def test_it_does_not_keep_the_network_alive(network):
    root = nn.Sequential(*network)
    objects, reference = SameObjects(root), weakref.ref(root)
    assert objects.are_those_of(root)
    del root
    gc.collect()
    assert reference() is None
