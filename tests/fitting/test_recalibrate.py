"""Means and variances of norms, taken anew."""

import torch
from torch import nn

from mbv3zoo.fitting.recalibrate import recalibrate


def test_norms_get_the_mean_and_variance_of_their_inputs():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 8, 1), nn.BatchNorm2d(8, momentum=0.03)).train()
    images = [torch.randint(0, 256, (4, 3, 16, 16), dtype=torch.uint8) for _ in range(3)]
    with torch.no_grad():
        inputs = [network[0](batch.float() / 255) for batch in images]
    recalibrate(network, images)
    mean = torch.stack([x.mean((0, 2, 3)) for x in inputs]).mean(0)
    variance = torch.stack([x.var((0, 2, 3)) for x in inputs]).mean(0)
    torch.testing.assert_close(network[1].running_mean, mean)
    torch.testing.assert_close(network[1].running_var, variance)
    assert not network.training and network[1].momentum == 0.03


def test_weights_stay_and_get_no_gradients():
    network = nn.Sequential(nn.Conv2d(3, 8, 1), nn.BatchNorm2d(8))
    before = [parameter.clone() for parameter in network.parameters()]
    recalibrate(network, [torch.randint(0, 256, (2, 3, 8, 8), dtype=torch.uint8)])
    for parameter, value in zip(network.parameters(), before, strict=True):
        assert torch.equal(parameter, value) and parameter.grad is None


def test_a_network_without_norms():
    recalibrate(nn.Conv2d(3, 8, 1), [torch.zeros(1, 3, 8, 8, dtype=torch.uint8)])
