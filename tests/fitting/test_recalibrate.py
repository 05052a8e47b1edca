"""Means and variances of norms of a narrower network."""

import copy

import numpy as np
import pytest
import torch
from fitting_cases import Chain
from torch import nn

from mbv3zoo.fitting.recalibrate import recalibrate, with_norms_of
from mbv3zoo.widths.channel_groups import find_groups
from mbv3zoo.widths.narrow import narrow


def pictures(count=3):
    return [torch.randint(0, 256, (4, 3, 16, 16), dtype=torch.uint8) for _ in range(count)]


def test_norms_get_the_mean_and_variance_of_their_inputs():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 8, 1), nn.BatchNorm2d(8, momentum=0.03)).eval()
    images, before = pictures(), copy.deepcopy(network)
    with torch.no_grad():
        inputs = [network[0](batch.float() / 255) for batch in images]
    found = with_norms_of(network, images)
    mean = torch.stack([x.mean((0, 2, 3)) for x in inputs]).mean(0)
    variance = torch.stack([x.var((0, 2, 3)) for x in inputs]).mean(0)
    torch.testing.assert_close(found[1].running_mean, mean)
    torch.testing.assert_close(found[1].running_var, variance)
    assert not found.training and found[1].momentum == 0.03
    for name, value in network.state_dict().items():
        assert torch.equal(value, before.state_dict()[name])


@pytest.fixture
def chain():
    torch.manual_seed(0)
    network = Chain().eval()
    for norm in network.norms:
        norm.running_mean.uniform_(-1, 1)
        norm.running_var.uniform_(0.5, 2)
    return network


def test_a_network_that_is_as_wide_as_before_keeps_its_norms(chain):
    """Also where the images are not what its norms were learned from."""
    images, before = pictures(), copy.deepcopy(chain.state_dict())
    recalibrate(chain, with_norms_of(chain, images), images)
    for name, value in chain.state_dict().items():
        torch.testing.assert_close(value, before[name])


def test_norms_change_as_their_inputs_do(chain):
    images = pictures(1)
    x = images[0].float() / 255
    groups = find_groups(chain, x).groups
    kept = {group.name: np.arange(0, group.units, 2) for group in groups if group.name == 'a'}
    before, narrower = copy.deepcopy(chain), copy.deepcopy(chain)
    norms = with_norms_of(chain, images)
    for network in (narrower, norms):
        narrow(network, groups, kept)
    after = recalibrate(narrower, norms, images)
    for norm, again in zip(after.norms, with_norms_of(narrower, images).norms, strict=True):
        torch.testing.assert_close(norm.running_mean, again.running_mean)
        torch.testing.assert_close(norm.running_var, again.running_var)

    # What comes into the second norm is the convolution of the first one's output, normalised by the batch.
    def second_inputs(network):
        with torch.no_grad():
            first = network.a(x)
            own = nn.functional.batch_norm(first, None, None, network.norms[0].weight, network.norms[0].bias, True)
            return network.b(own.relu())

    old, new = second_inputs(before), second_inputs(narrower)
    dims = (0, 2, 3)
    mean = before.norms[1].running_mean + new.mean(dims) - old.mean(dims)
    variance = before.norms[1].running_var * new.var(dims) / old.var(dims)
    torch.testing.assert_close(narrower.norms[1].running_mean, mean, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(narrower.norms[1].running_var, variance, rtol=1e-2, atol=1e-4)
    # Nothing changes before the first layer that is narrower.
    torch.testing.assert_close(narrower.norms[0].running_mean, before.norms[0].running_mean[::2])
    for name, parameter in narrower.named_parameters():
        assert parameter.grad is None, name


def test_a_network_without_norms():
    network = nn.Conv2d(3, 8, 1)
    images = [torch.zeros(1, 3, 8, 8, dtype=torch.uint8)]
    recalibrate(network, with_norms_of(network, images), images)
