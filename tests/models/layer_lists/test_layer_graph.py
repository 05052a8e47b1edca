import pytest
import torch
from rows import rows_of
from torch import nn

from mbv3zoo.models.layer_lists import blocks
from mbv3zoo.models.layer_lists.layer_graph import LayerGraph, MapShape

DIAMOND = rows_of(
    ((-1,), 1, 'Conv', (8, 3, 2)),
    ((0,), 1, 'Conv', (16, 3, 2)),
    ((1,), 1, 'nn.Upsample', (None, 2, 'nearest')),
    ((2, 0), 1, 'Concat', (1,)),
    ((3,), 2, 'Bottleneck', (24,)),
    outputs=(1, 4, 0),
)


def test_forward_against_the_same_by_hand():
    torch.manual_seed(0)
    graph = LayerGraph(DIAMOND, [MapShape(3, 32, 64)], 1.0, 1.0).eval()
    layers = graph.layers
    x = torch.rand(2, 3, 32, 64)
    zero = layers['0'](x)
    one = layers['1'](zero)
    up = nn.functional.interpolate(one, scale_factor=2, mode='nearest')
    four = layers['4'][1](layers['4'][0](torch.cat([up, zero], 1)))
    for own, expected in zip(graph([x]), (one, four, zero), strict=True):
        assert torch.equal(own, expected)
    assert graph.out_channels == [16, 24, 8]
    assert graph.shapes[3] == (24, 16, 32) and str(graph.shapes[3]) == '24 x 16 x 32'


def test_maps_are_let_go_when_nobody_takes_them_any_more():
    graph = LayerGraph(DIAMOND, [MapShape(3, 32, 32)], 1.0, 1.0)
    # The picture after row 0, row 2 and row 3 after the row that took them; outputs stay.
    assert graph.done == {0: {-1}, 1: set(), 2: set(), 3: {2}, 4: {3}}


def test_sizes_of_a_training_batch_and_of_one_cell():
    graph = LayerGraph(DIAMOND, [MapShape(3, 32, 32)], 1.0, 1.0)
    graph([torch.rand(2, 3, 4, 8)])[1].sum().backward()
    assert all(parameter.grad is not None for parameter in graph.parameters())


def build(*table, shapes=((3, 32, 32),), **settings):
    return LayerGraph(rows_of(*table, **settings), [MapShape(*shape) for shape in shapes], 1.0, 1.0)


@pytest.mark.parametrize(
    ('row', 'words'),
    [
        (((0, 1), 1, 'Concat', (1,)), ['row 2 (Concat)', 'row 0 (4 x 8 x 8) and row 1 (4 x 4 x 4)', 'one height']),
        (((0, 1), 1, 'Conv', (8,)), ['row 2 (Conv', 'takes one map, given 2']),
        (((0,), 1, 'Conv', (8, 3, 2, 1, 3)), ['row 2 (Conv', 'row 0 (4 x 8 x 8)']),
        (((0,), 1, 'nn.MaxPool2d', (99,)), ['row 2 (nn.MaxPool2d)', 'fails on row 0 (4 x 8 x 8)']),
        (((0,), 1, 'Conv', (8, 99, 1, 0)), ['row 2 (Conv)', 'fails on row 0']),
        (((0,), 1, 'Two', ()), ['row 2 (Two)', 'makes of row 0', 'tuple', 'expected one map']),
        (((0,), 1, 'Flat', ()), ['row 2 (Flat)', 'Tensor of shape [1, 256]']),
        (((0,), 1, 'Broken', ()), ['row 2 (Broken', 'cannot be built', 'KeyError']),
    ],
)
def test_mistakes_name_the_row_and_what_arrived(row, words):
    class Two(nn.Module):
        def forward(self, x):
            return x, x

    def broken():
        raise KeyError('KeyError of a block')

    for name, block in (('Two', Two), ('Flat', nn.Flatten), ('Broken', broken)):
        blocks.register_block(name, block, channels='none')
    with pytest.raises(ValueError) as caught:
        build(row, first=2, inputs=(0, 1), shapes=((4, 8, 8), (4, 4, 4)))
    assert all(word in str(caught.value) for word in words), caught.value


def test_layers_without_end_are_refused_before_one_is_built():
    row = ((-1,), 300, 'Bottleneck', (8,))
    with pytest.raises(ValueError, match='make 600 layers with depth_multiple 2.0, expected at most 512'):
        LayerGraph(rows_of(row), [MapShape(3, 8, 8)], 2.0, 1.0)
