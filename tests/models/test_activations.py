import pytest
import torch
from torch import nn

from mbv3zoo.models.activations import activation_layer


@pytest.mark.parametrize(
    ('name', 'expected'),
    [
        ('nn.SiLU()', nn.SiLU()),
        ('SiLU()', nn.SiLU()),
        ('torch.nn.ReLU(inplace=True)', nn.ReLU()),
        ('nn.LeakyReLU(0.1)', nn.LeakyReLU(0.1)),
        ('nn.LeakyReLU(negative_slope=0.2, inplace=True)', nn.LeakyReLU(0.2)),
        ('nn.Mish()', nn.Mish()),
        ('silu', nn.SiLU()),
        ('hard_swish', nn.Hardswish()),
    ],
)
def test_names_and_calls(name, expected):
    x = torch.randn(100)
    torch.testing.assert_close(activation_layer(name)()(x.clone()), expected(x.clone()))


@pytest.mark.parametrize(
    'name',
    [
        'sillu', 'nn.Sily()', "__import__('os').system('true')", 'nn.LeakyReLU(0.1', 'nn.SiLU()()', 'nn.LeakyReLU(nc)',
        'nn.SiLU(1, 2, 3)', 'nn.Conv2d(3, 3, 3)', ')', 'nn.SiLU() if 1 else nn.ReLU()', 'os.system("true")',
    ],
)  # fmt: skip
def test_anything_else_is_refused_by_name(name):
    with pytest.raises(ValueError, match='unknown activation') as caught:
        activation_layer(name)
    assert repr(name) in str(caught.value)
