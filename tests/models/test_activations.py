import pytest
import torch
from torch import nn

from mbv3zoo.models.activations import activation_layer
from mbv3zoo.models.layers import conv


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


@pytest.mark.parametrize('name', ['nn.ReLU(True)', 'nn.LeakyReLU(0.1, True)', 'nn.SiLU(inplace=True)', 'nn.GELU()'])
def test_layers_that_work_in_place_take_it_as_it_is(name):
    """YOLOv5 files may ask for work in place; so does the layer, by itself."""
    layer = conv(3, 8, 3, act=name)
    layer(torch.rand(2, 3, 8, 8)).sum().backward()
    assert all(parameter.grad is not None for parameter in layer.parameters())


@pytest.mark.parametrize(
    'name', ['', 3, None, 'a' * 10**6, 'nn.SiLU(' + '-' * 50000 + '1)', 'nn' + '.a' * 50000 + '()']
)
def test_a_text_without_end_is_refused_before_it_is_read(name):
    with pytest.raises(ValueError, match='an activation is a name of at most 100 characters, given ') as caught:
        activation_layer(name)
    assert len(str(caught.value)) < 200
