import copy

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import pad

import mbv3zoo
from mbv3zoo.widths.channel_groups import find_groups
from mbv3zoo.widths.records import Channels


class Net(nn.Module):
    """Layers by their names, in their order, and what is computed with them."""

    def __init__(self, compute, **layers):
        super().__init__()
        self.compute = compute
        for name, layer in layers.items():
            setattr(self, name, layer)

    def forward(self, x):
        return self.compute(self, x)


def conv(inputs, outputs, kernel=1, **args):
    return nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, **{'bias': False} | args)


def find(network, side=8, **args):
    return find_groups(network.eval(), torch.rand(1, 3, side, side), **args)


def named(found):
    """Name of a group -> its units, its size, and where it is: (place, dimension) -> indices of its units."""
    groups = {
        group.name: (group.units, group.size, {(name, at): indices.tolist() for name, at, indices in group.places})
        for group in found.groups
    }
    assert len(groups) == len(found.groups)
    return groups


def each(count, start=0):
    return [[start + index] for index in range(count)]


def test_a_layers_outputs_its_norm_and_the_next_layers_inputs_are_a_group():
    network = Net(lambda n, x: n.b(n.norm(n.a(x)).relu()), a=conv(3, 4, 3), norm=nn.BatchNorm2d(4), b=conv(4, 2))
    found = find(network)
    numbers = ('norm.weight', 'norm.bias', 'norm.running_mean', 'norm.running_var')
    places = {('a.weight', 0): each(4), **{(name, 0): each(4) for name in numbers}, ('b.weight', 1): each(4)}
    # No channels of the image nor of the output.
    assert named(found) == {'a': (4, 1, places)} and not found.unknown


def test_outputs_are_a_group_where_they_need_not_stay():
    network = Net(lambda n, x: n.b(n.a(x)), a=conv(3, 4), b=conv(4, 2, bias=True))
    assert list(named(find(network))) == ['a']
    assert named(find(network, outputs_stay=False))['b'] == (2, 1, {('b.weight', 0): each(2), ('b.bias', 0): each(2)})


@pytest.mark.parametrize('outputs', [list, tuple, lambda maps: dict(enumerate(maps))])
def test_outputs_may_be_several(outputs):
    network = Net(lambda n, x: outputs([n.b(n.a(x)), n.c(n.a(x))]), a=conv(3, 4), b=conv(4, 5), c=conv(4, 6))
    assert list(named(find(network))) == ['a']


def test_maps_that_are_added_have_the_same_channels():
    network = Net(lambda n, x: n.d((y := n.a(x)) + n.c(n.b(y))), a=conv(3, 4), b=conv(4, 6), c=conv(6, 4), d=conv(4, 2))
    added = {(f'{name}.weight', at): each(4) for name, at in (('a', 0), ('b', 1), ('c', 0), ('d', 1))}
    assert named(find(network)) == {
        'a': (4, 1, added),
        'b': (6, 1, {('b.weight', 0): each(6), ('c.weight', 1): each(6)}),
    }


def test_channels_that_are_added_to_the_image_stay():
    network = Net(lambda n, x: n.b(n.a(x) + x), a=conv(3, 3), b=conv(3, 2))
    assert named(find(network)) == {}


def test_a_depthwise_convolution_has_the_channels_before_it():
    network = Net(lambda n, x: n.b(n.deep(n.a(x))), a=conv(3, 4), deep=conv(4, 4, 3, groups=4, bias=True), b=conv(4, 2))
    places = {(name, 0): each(4) for name in ('a.weight', 'deep.weight', 'deep.bias')} | {('b.weight', 1): each(4)}
    assert named(find(network)) == {'a': (4, 1, places)}


def test_two_outputs_for_each_input_are_removed_with_it():
    network = Net(lambda n, x: n.b(n.deep(n.a(x))), a=conv(3, 3), deep=conv(3, 6, 3, groups=3), b=conv(6, 2))
    pairs = [[0, 1], [2, 3], [4, 5]]
    places = {('a.weight', 0): each(3), ('deep.weight', 0): pairs, ('b.weight', 1): pairs}
    assert named(find(network)) == {'a': (3, 1, places)}


def test_a_unit_of_a_grouped_convolution_is_a_group_of_it():
    network = Net(lambda n, x: n.b(n.wide(n.a(x))), a=conv(3, 6), wide=conv(6, 9, groups=3), b=conv(9, 2))
    twos, threes = [[0, 1], [2, 3], [4, 5]], [[0, 1, 2], [3, 4, 5], [6, 7, 8]]
    places = {('a.weight', 0): twos, ('wide.weight', 0): threes, ('b.weight', 1): threes}
    assert named(find(network)) == {'a': (3, 2, places)}


@pytest.mark.parametrize('linear', [False, True])
def test_squeeze_and_excitation_scales_channels_of_its_own(linear):
    def excite(n, x):
        y = n.a(x)
        pooled = y.mean((2, 3)) if linear else y.mean((2, 3), keepdim=True)
        scale = n.expand(n.reduce(pooled).relu()).sigmoid()
        return n.b(y * (scale[..., None, None] if linear else scale))

    make = nn.Linear if linear else conv
    network = Net(excite, a=conv(3, 8), reduce=make(8, 4, bias=True), expand=make(4, 8, bias=True), b=conv(8, 2))
    eight = (('a.weight', 0), ('reduce.weight', 1), ('expand.weight', 0), ('expand.bias', 0), ('b.weight', 1))
    four = (('reduce.weight', 0), ('reduce.bias', 0), ('expand.weight', 1))
    found = find(network)
    assert not found.unknown
    assert named(found) == {
        'a': (8, 1, {place: each(8) for place in eight}),
        'reduce': (4, 1, {place: each(4) for place in four}),
    }


def test_concatenated_layers_are_groups_of_their_own():
    network = Net(lambda n, x: n.c(torch.cat([n.b(x), n.a(x), n.b(x)], 1)), a=conv(3, 4), b=conv(3, 2), c=conv(8, 2))
    assert named(find(network)) == {
        'a': (4, 1, {('a.weight', 0): each(4), ('c.weight', 1): each(4, 2)}),
        'b': (2, 1, {('b.weight', 0): each(2), ('c.weight', 1): [[0, 6], [1, 7]]}),
    }


def test_a_linear_layer_reads_pooled_channels():
    network = Net(
        lambda n, x: n.b(n.pool(n.a(x)).flatten(1)), a=conv(3, 4), pool=nn.AdaptiveAvgPool2d(1), b=nn.Linear(4, 2)
    )
    assert named(find(network)) == {'a': (4, 1, {('a.weight', 0): each(4), ('b.weight', 1): each(4)})}


def test_channels_of_a_flattened_map_stay():
    network = Net(lambda n, x: n.b(n.a(x).flatten(1)), a=conv(3, 4), b=nn.Linear(4 * 64, 2))
    assert named(find(network)) == {}


@pytest.mark.parametrize(
    ('compute', 'unknown'),
    [
        (lambda n, x: n.b(sum(n.a(x).chunk(2, 1))), {}),
        (lambda n, x: n.b(n.a(x)[:, :4]), {}),
        (lambda n, x: n.b(n.a(x).softmax(1)[:, 4:]), {'_softmax': 1}),
        (lambda n, x: n.b(nn.functional.pixel_shuffle(n.a(x), 1)[:, :4]), {'pixel_shuffle': 1}),
        (lambda n, x: n.b(nn.functional.group_norm(n.a(x), 2)[:, :4]), {'native_group_norm': 1}),
        # Understood, but which channels are left is not, or they are not there any more.
        (lambda n, x: n.b(n.a(x).unflatten(1, (2, 4)).sum(1)), {}),
        (lambda n, x: n.b(n.a(x).unflatten(1, (2, 4)).transpose(1, 2).flatten(1, 2)[:, :4]), {}),
        (lambda n, x: n.b(n.a(x).mean(1, keepdim=True).expand(-1, 4, -1, -1)), {}),
        (lambda n, x: n.b(n.a(x).permute(0, 2, 1, 3)[:, :4]), {}),
    ],
)
def test_channels_stay_where_they_cannot_be_followed(compute, unknown):
    found = find(Net(compute, a=conv(3, 8), b=conv(4, 2)))
    assert named(found) == {}
    assert {name: count for name, count in found.unknown.items() if name in unknown} == unknown
    assert bool(found.unknown) == bool(unknown)


def test_channels_stay_where_a_layer_runs_over_them():
    """As in mixers and efficient channel attention: their number is a height, a width or a length there."""
    over = Net(lambda n, x: n.b(n.a(x).permute(0, 2, 1, 3)).flatten(1), a=conv(3, 4), b=conv(8, 5, 3))
    eca = Net(
        lambda n, x: n.b((y := n.a(x)) * n.over(y.mean((2, 3)).view(1, 1, -1)).view(1, -1, 1, 1)),
        a=conv(3, 4), over=nn.Conv1d(1, 1, 3, padding=1), b=conv(4, 2),
    )  # fmt: skip
    padded = Net(lambda n, x: n.b(pad(n.a(x), (0, 0, 0, 0, 1, 1))), a=conv(3, 4), b=conv(6, 2))
    as_images = Net(
        lambda n, x: n.b(n.blur(n.a(x).view(-1, 1, 8, 8)).view(1, -1, 8, 8)),
        a=conv(3, 4), blur=conv(1, 1, 3), b=conv(4, 2),
    )  # fmt: skip
    for network in (over, eca, padded, as_images):
        assert named(find(network)) == {}


def test_attention_and_layer_norms_are_not_understood_and_say_so():
    def attend(n, x):
        tokens = n.norm(n.a(x).flatten(2).transpose(1, 2))
        return n.b((tokens + n.attention(tokens, tokens, tokens)[0]).transpose(1, 2).unflatten(2, (8, 8)))

    attention = nn.MultiheadAttention(4, 2, batch_first=True)
    layers = {'stem': conv(3, 6), 'a': conv(6, 4), 'norm': nn.LayerNorm(4), 'attention': attention, 'b': conv(4, 2)}
    found = find(Net(lambda n, x: attend(n, n.stem(x).relu()), **layers))
    assert found.unknown['native_layer_norm'] == 1 and len(found.unknown) > 1
    # What is before them is understood.
    assert named(found) == {'stem': (6, 1, {('stem.weight', 0): each(6), ('a.weight', 1): each(6)})}


def test_a_layer_that_runs_twice_reads_both_maps():
    network = Net(lambda n, x: n.c(n.a(x)) + n.c(n.b(x)), a=conv(3, 4), b=conv(3, 4), c=conv(4, 2))
    places = {('a.weight', 0): each(4), ('b.weight', 0): each(4), ('c.weight', 1): each(4)}
    assert named(find(network)) == {'a': (4, 1, places)}


def test_a_group_has_the_name_of_a_layer_also_where_a_norm_is_before_it():
    network = Net(lambda n, x: n.b(n.norm(n.a(x))), norm=nn.BatchNorm2d(4), a=conv(3, 4), b=conv(4, 2))
    assert list(named(find(network))) == ['a']


def test_the_last_channel_of_a_layer_stays():
    network = Net(lambda n, x: n.b(n.a(x)), a=conv(3, 1), b=conv(1, 2))
    assert named(find(network)) == {}


def test_operations_are_what_is_computed_with_channels_by_their_groups():
    network = Net(
        lambda n, x: n.c(torch.cat([y := n.a(x), n.deep(y).relu_()], 1)),
        a=conv(3, 4, 3, stride=2), deep=conv(4, 4, 3, groups=4), c=conv(8, 5),
    )  # fmt: skip
    first, deep, relu, both, last = find(network).operations
    a = Channels(0, (('a', 1),))
    assert (first.name, first.inputs, first.outputs, first.size) == ('convolution', (Channels(3, ()),), a, (8, 8))
    assert first.settings == (3, 3, 2, 2, 1, 1, 1) and first.sources == (-1,)
    assert (deep.inputs, deep.outputs, deep.size, deep.sources) == ((a,), a, (4, 4), (0,))
    assert deep.settings == (3, 3, 1, 1, 1, 1, 4)
    assert (relu.name, relu.sources, relu.settings) == ('relu', (1,), ())
    assert (both.name, both.inputs, both.outputs, both.sources) == ('cat', (a, a), Channels(0, (('a', 2),)), (0, 2))
    assert (last.outputs, last.sources) == (Channels(5, ()), (3,))
    assert both.outputs.count({'a': 3}) == 6


def test_operations_on_every_part_of_a_map_and_on_the_image_are_found():
    def both_parts(n, x):
        first, second = n.a(x).chunk(2, 1)
        return n.b(second).relu() + n.c(first) + n.d(x)

    network = Net(both_parts, a=conv(3, 4), b=conv(2, 5), c=conv(2, 5), d=conv(3, 5))
    assert [(one.name, one.inputs[0].fixed, one.sources) for one in find(network).operations] == [
        ('convolution', 3, (-1,)), ('split', 4, (0,)), ('convolution', 2, (1,)), ('relu', 5, (2,)),
        ('convolution', 2, (1,)), ('add', 5, (3, 4)), ('convolution', 3, (-1,)), ('add', 5, (5, 6)),
    ]  # fmt: skip


def test_operations_count_the_channels_of_each_unit_of_a_grouped_convolution():
    network = Net(lambda n, x: n.b(n.wide(n.a(x))), a=conv(3, 6), wide=conv(6, 9, groups=3), b=conv(9, 2))
    first, wide, _ = find(network).operations
    assert first.outputs == Channels(0, (('a', 2),)) and wide.outputs == Channels(0, (('a', 3),))


def test_shapes_alone_give_the_same_groups_and_no_weight_changes():
    network = mbv3zoo.create_detector('mbv3_yolo_small', num_classes=4, image_size=64).eval()
    before = copy.deepcopy(network.state_dict())
    found = find(network, 64)
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())
    shapes = find_groups(copy.deepcopy(network).to('meta'), torch.empty(1, 3, 64, 64, device='meta'))
    assert len(found.groups) > 40 and not found.unknown and not shapes.unknown
    for one, other in zip(found.groups, shapes.groups, strict=True):
        assert (one.name, one.size) == (other.name, other.size)
        for place, same in zip(one.places, other.places, strict=True):
            assert place[:2] == same[:2] and np.array_equal(place[2], same[2])


def test_each_width_of_a_detector_has_one_name():
    network = mbv3zoo.create_detector('mbv3_yolo_small', num_classes=4, image_size=64)
    groups = find(network, 64).groups
    layers = dict(network.named_modules())
    assert len({group.name for group in groups}) == len(groups)
    for group in groups:
        assert layers[group.name].out_channels == group.units * group.size
