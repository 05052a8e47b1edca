import pytest
import torch
from torch import nn

from mbv3zoo.convert.weights import match_network


def network(*, linear, wide=8):
    last = nn.Linear(wide, 4) if linear else nn.Conv2d(wide, 4, 1)
    return nn.Sequential(nn.Conv2d(3, wide, 3, bias=False), nn.BatchNorm2d(wide), last)


def test_tensors_are_matched_by_order():
    first, second = network(linear=True), network(linear=False)
    tensors = {f'model.0.{name}': tensor for name, tensor in first.state_dict().items()}
    second.load_state_dict(match_network(tensors, second))
    x = torch.rand(2, 3, 3, 3)
    for module in (first, second):
        module.eval()
    expected = first[2](first[1](first[0](x)).flatten(1))
    torch.testing.assert_close(second(x).flatten(1), expected)


@pytest.mark.parametrize(
    'other',
    [
        network(linear=True, wide=6),
        nn.Sequential(*network(linear=True)[:2]),
        nn.Sequential(network(linear=True)[1], network(linear=True)[0], network(linear=True)[2]),
        nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Linear(8, 4, bias=False)),
    ],
)
def test_another_network_is_told(other):
    assert match_network(network(linear=False).state_dict(), other) is None
