import pytest
import torch
from torch import nn

from mbv3zoo.info.flops import count_of, count_operations


@pytest.mark.parametrize(
    ('layer', 'expected'),
    [
        # Two for each multiply-add: the outputs, times what each of them sums up.
        (lambda: nn.Conv2d(4, 8, 3, 2, 1), 2 * (8 * 16 * 24) * (4 * 9)),
        (lambda: nn.Conv2d(4, 8, 3, 2, 1, groups=4), 2 * (8 * 16 * 24) * 9),
        (lambda: nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 10)), 2 * 10 * 4),
        (lambda: nn.Sequential(nn.BatchNorm2d(4), nn.ReLU()), 0),
    ],
    ids=['conv', 'groups', 'linear', 'no multiply-adds'],
)
def test_operations_against_the_formula(layer, expected):
    with torch.device('meta'):
        assert count_operations(layer(), (32, 48), in_chans=4) == expected


def test_any_inputs_and_what_is_left_of_the_module():
    class Sum(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(2, 2, 1)

        def forward(self, maps):
            return sum(self.conv(x) for x in maps)

    with torch.device('meta'):
        module = Sum()
        assert count_of(module, [torch.empty(1, 2, 4, 4), torch.empty(3, 2, 4, 4)]) == 4 * 2 * 2 * 2 * 16
    assert not module.training and not any(parameter.requires_grad for parameter in module.parameters())


def test_half_precision_counts_the_same():
    with torch.device('meta'):
        assert count_operations(nn.Conv2d(3, 8, 3).half(), (8, 8)) == count_operations(nn.Conv2d(3, 8, 3), (8, 8))
