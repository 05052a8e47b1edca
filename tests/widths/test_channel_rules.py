import numpy as np
import pytest
import torch

from mbv3zoo.widths.channel_rules import ChannelRules, tensors_in


class Followed(ChannelRules):
    """Rules, and what they have said of tensors' channels."""

    def numbered(self, *shape):
        tensor = torch.zeros(shape)
        self.number(tensor)
        return tensor

    def map_of(self, channels, size=4):
        """A feature map, which has channels in dimension 1 alone, and their numbers."""
        weight, image = self.numbered(channels, 3, 1, 1), torch.zeros(1, 3, size, size)
        x = torch.zeros(1, channels, size, size)
        self.follow('convolution', x, (image, weight, None, [1, 1], [0, 0], [1, 1], False, [0, 0], 1), {})
        return x, self.of(weight)[0]

    def after(self, name, result, *args):
        self.follow(name, result, args, {})
        return self.of(result)

    def same(self, first, second):
        return self.parents.roots(first) == self.parents.roots(second)

    def is_fixed(self, ids):
        fixed = {root in self.parents.fixed() for root in self.parents.roots(ids)}
        assert len(fixed) == 1
        return fixed.pop()


@pytest.fixture
def rules():
    return Followed()


def test_places_of_each_dimension_have_numbers_of_their_own(rules):
    ids = rules.of(rules.numbered(2, 3))
    assert [own.tolist() for own in ids] == [[0, 1], [2, 3, 4]]
    assert rules.of(torch.zeros(2, 3)) == (None, None)


@pytest.mark.parametrize('shape', [(1, 4, 1, 1), (4, 1, 1), (4, 4, 4)])
def test_what_is_multiplied_element_by_element_belongs_together(rules, shape):
    x, channels = rules.map_of(4)
    scale = rules.numbered(*shape)
    found = rules.after('mul', x * scale, x, scale)
    assert rules.same(channels, rules.of(scale)[-3]) and rules.same(found[1], channels)
    assert not rules.is_fixed(channels)


def test_channels_beside_numbers_of_no_parameter_stay(rules):
    x, channels = rules.map_of(4)
    rules.after('add', x + 1, x, 1)
    assert not rules.is_fixed(channels)
    rules.after('add', x, x, torch.zeros(1, 1, 4, 4))
    assert not rules.is_fixed(channels)
    rules.after('add', x, x, torch.zeros(1, 4, 1, 1))
    assert rules.is_fixed(channels)


@pytest.mark.parametrize(
    ('before', 'shape', 'at'),
    [((1, 1), (1, 4), 1), ((1, 1), (1, 4, 1), 1), ((2, 3), (1, 4, 6), 1), ((2, 3), (4, 6), 0), ((2, 3), (4, 2, 3), 0)],
)
def test_channels_are_found_in_another_shape(rules, before, shape, at):
    whole, channels = rules.map_of(4)
    x = torch.zeros(1, 4, *before)
    rules.follow('adaptive_avg_pool2d', x, (whole, before), {})
    found = rules.after('view', x.view(shape), x, shape)
    assert found[at] is channels and not rules.is_fixed(channels)


@pytest.mark.parametrize('shape', [(1, 2, 2, 4, 4), (1, 64), (1, 16, 4, 1), (2, 2, 4, 4)])
def test_channels_that_are_cut_or_merged_with_others_stay(rules, shape):
    x, channels = rules.map_of(4)
    rules.after('view', x.view(shape), x, shape)
    assert rules.is_fixed(channels)


def test_means_over_a_map_keep_channels_and_those_over_channels_fix_them(rules):
    x, channels = rules.map_of(4)
    assert rules.after('mean', x.mean((2, 3)), x, [2, 3])[1] is channels
    assert rules.after('mean', x.mean((-1, -2), True), x, [-1, -2], True)[1] is channels
    assert rules.after('sum', x.sum(0), x, [0])[0] is channels
    assert not rules.is_fixed(channels)
    for args in ([1], True), ([-3],), ():
        x, channels = rules.map_of(4)
        found = rules.after('mean', x.mean(*args), x, *args)
        assert rules.is_fixed(channels) and all(ids is None for ids in found)


def test_concatenated_channels_follow_one_another(rules):
    (x, first), (y, second) = rules.map_of(4), rules.map_of(2)
    found = rules.after('cat', torch.cat([x, y, x], 1), [x, y, x], -3)
    assert found[1].tolist() == [*first, *second, *first]
    assert not rules.is_fixed(first) and not rules.is_fixed(second)


def test_channels_concatenated_with_unknown_ones_stay(rules):
    x, channels = rules.map_of(4)
    found = rules.after('cat', torch.cat([x, torch.zeros(x.shape)], 1), [x, torch.zeros(x.shape)], 1)
    assert rules.is_fixed(channels) and found[1] is None


def test_maps_concatenated_side_by_side_belong_together(rules):
    (x, first), (y, second) = rules.map_of(4), rules.map_of(4)
    rules.after('cat', torch.cat([x, y], 2), [x, y], 2)
    assert rules.same(first, second) and not rules.is_fixed(first)


def convolve(rules, x, weight, groups=1, transposed=False, bias=None):
    outputs = weight.shape[1] if transposed else weight.shape[0]
    result = torch.zeros(1, outputs, *x.shape[2:])
    args = [x, weight, bias, [1, 1], [0, 0], [1, 1], transposed, [0, 0], groups]
    return rules.after('convolution', result, *args)


def test_a_convolution_reads_its_inputs_and_has_outputs_of_its_own(rules):
    x, channels = rules.map_of(4)
    weight, bias = rules.numbered(6, 4, 1, 1), rules.numbered(6)
    found = convolve(rules, x, weight, bias=bias)
    outputs, inputs = rules.of(weight)[:2]
    assert rules.same(inputs, channels) and rules.same(outputs, rules.of(bias)[0])
    assert found[1] is outputs and not set(rules.parents.roots(outputs)) & set(rules.parents.roots(channels))
    assert not rules.is_fixed(channels) and not rules.is_fixed(outputs)


def test_inputs_and_outputs_of_each_group_of_a_convolution_belong_together(rules):
    x, channels = rules.map_of(4)
    weight = rules.numbered(6, 2, 1, 1)
    convolve(rules, x, weight, groups=2)
    outputs, inputs = rules.of(weight)[:2]
    first, second = rules.parents.roots(channels[[0, 2]])
    assert first != second
    assert rules.parents.roots(channels) == [first] * 2 + [second] * 2
    assert rules.parents.roots(outputs) == [first] * 3 + [second] * 3
    # Each output still reads both inputs of its group.
    assert rules.is_fixed(inputs) and not rules.is_fixed(channels)


def test_transposed_convolutions_keep_all_channels(rules):
    x, channels = rules.map_of(4)
    weight = rules.numbered(4, 6, 1, 1)
    found = convolve(rules, x, weight, transposed=True)
    assert rules.is_fixed(channels) and rules.is_fixed(rules.of(weight)[1]) and found[1] is None


def test_channels_stay_where_a_convolution_moves_over_them(rules):
    x, channels = rules.map_of(4)
    turned = x.permute(0, 2, 1, 3)
    assert rules.after('permute', turned, x, [0, 2, 1, 3])[2] is channels
    convolve(rules, turned, rules.numbered(5, 4, 3, 3))
    assert rules.is_fixed(channels)


def test_a_convolution_of_a_line_has_three_dimensions(rules):
    x, channels = rules.map_of(4)
    line = x.mean((2, 3)).view(1, 1, 4)
    rules.follow('mean', pooled := x.mean((2, 3)), (x, [2, 3]), {})
    rules.follow('view', line, (pooled, [1, 1, 4]), {})
    found = convolve(rules, line, rules.numbered(2, 1, 3))
    assert len(found) == 3 and rules.is_fixed(channels)


def test_padding_of_a_map_keeps_channels_and_that_of_channels_fixes_them(rules):
    x, channels = rules.map_of(4)
    assert rules.after('constant_pad_nd', torch.zeros(1, 4, 6, 6), x, [1, 1, 1, 1])[1] is channels
    assert not rules.is_fixed(channels)
    found = rules.after('constant_pad_nd', torch.zeros(1, 8, 4, 4), x, [0, 0, 0, 0, 2, 2])
    assert rules.is_fixed(channels) and found == (None,) * 4


def test_a_norm_has_numbers_for_each_channel(rules):
    x, channels = rules.map_of(4)
    own = [rules.numbered(4) for _ in range(4)]
    rules.follow('native_batch_norm', (x + 0, torch.zeros(0), torch.zeros(0)), (x, *own, False, 0.1, 1e-5), {})
    assert all(rules.same(channels, rules.of(tensor)[0]) for tensor in own) and not rules.is_fixed(channels)


def test_a_linear_layer_reads_the_last_dimension(rules):
    x, weight, bias = rules.numbered(2, 4), rules.numbered(6, 4), rules.numbered(6)
    turned = weight.t()
    rules.follow('t', turned, (weight,), {})
    found = rules.after('addmm', torch.zeros(2, 6), bias, x, turned)
    outputs, inputs = rules.of(weight)
    assert rules.same(inputs, rules.of(x)[1]) and rules.same(outputs, rules.of(bias)[0]) and found[1] is outputs


def test_transposed_dimensions_take_their_channels_along(rules):
    x, channels = rules.map_of(4)
    assert rules.after('transpose', x.transpose(-1, 1), x, -1, 1)[3] is channels


def test_channels_of_what_is_not_known_stay_and_it_is_counted(rules):
    (x, first), (y, second) = rules.map_of(4), rules.map_of(4)
    for _ in range(2):
        assert rules.after('bmm', torch.zeros(1, 4, 4), x[0], [y]) == (None,) * 3
    assert rules.unknown == {'bmm': 2} and rules.is_fixed(second) and not rules.is_fixed(first)
    rules.follow('split', [x[:, :2], x[:, 2:]], (x, 2, 1), {})
    # What takes a map apart is known, but not by which numbers.
    assert rules.unknown == {'bmm': 2} and rules.is_fixed(first)


def test_tensors_are_found_wherever_they_are():
    a, b, c = torch.zeros(1), torch.zeros(2), torch.zeros(3)
    assert [len(x) for x in tensors_in([a, (b, 3, None), {'c': c, 'd': 'text'}])] == [1, 2, 3]
    assert list(tensors_in(None)) == []


def test_numbers_of_a_tensor_are_not_those_of_another_at_its_address(rules):
    for _ in range(50):
        tensor = torch.zeros(3)
        assert rules.of(tensor) == (None,)
        rules.number(tensor)
    assert np.unique(rules.parents.roots(np.arange(150))).size == 150
