"""What a network is divided into."""

import torch
from torch import nn

from mbv3zoo.fitting.units import find_units
from mbv3zoo.widths.channel_groups import find_groups


class Block(nn.Module):
    """An inverted residual with squeeze-excite, between two convolutions."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.BatchNorm2d(8), nn.Hardswish())
        self.expand = nn.Sequential(nn.Conv2d(8, 24, 1), nn.BatchNorm2d(24), nn.ReLU())
        self.depthwise = nn.Sequential(nn.Conv2d(24, 24, 5, 1, 2, groups=24), nn.BatchNorm2d(24), nn.ReLU())
        self.squeeze, self.excite = nn.Conv2d(24, 6, 1), nn.Conv2d(6, 24, 1)
        self.project = nn.Sequential(nn.Conv2d(24, 8, 1), nn.BatchNorm2d(8))
        self.pool, self.last = nn.MaxPool2d(5, 1, 2), nn.Conv2d(16, 4, 1)

    def forward(self, images):
        x = self.stem(images)
        y = self.depthwise(self.expand(x))
        gate = self.excite(self.squeeze(y.mean((2, 3), keepdim=True)).relu())
        y = x + self.project(y * gate.sigmoid())
        return self.last(torch.cat([y, self.pool(y)], 1))


def units_of(network, side=32):
    found = find_groups(network.eval(), torch.rand(1, 3, side, side))
    return find_units(found.operations), {group.name: group.units for group in found.groups}


def test_a_block_is_divided_into_what_runtimes_compute_in_one_step():
    units, full = units_of(Block())
    shown = [(unit.kind, unit.size, unit.settings, unit.after, unit.widths(full)) for unit in units]
    assert shown == [
        ('convolution', (32, 32), (3, 3, 2, 2, 1, 1), ('hardswish',), (3, 8)),
        ('convolution', (16, 16), (1, 1, 1, 1, 0, 0), ('relu',), (8, 24)),
        ('depthwise', (16, 16), (5, 5, 1, 1, 2, 2), ('relu',), (24, 24)),
        ('mean', (16, 16), (), (), (24, 24)),
        ('convolution', (1, 1), (1, 1, 1, 1, 0, 0), ('relu',), (24, 6)),
        ('convolution', (1, 1), (1, 1, 1, 1, 0, 0), ('sigmoid',), (6, 24)),
        ('scale', (16, 16), (), (), (24, 24)),
        ('convolution', (16, 16), (1, 1, 1, 1, 0, 0), ('add',), (24, 8)),
        ('max_pool', (16, 16), (), (), (8, 8)),
        ('convolution', (16, 16), (1, 1, 1, 1, 0, 0), (), (16, 4)),
    ]


def test_widths_follow_the_units_of_groups():
    units, full = units_of(Block())
    narrower = full | {'expand.0': 10, 'stem.0': 3}
    assert units[1].widths(narrower) == (3, 10)
    assert units[-1].widths(narrower) == (6, 4)
    assert units[1].groups == {'stem.0', 'expand.0'}


def test_what_two_layers_read_is_not_computed_with_either():
    """The activation behind a convolution is another step where the convolution's own output is read too."""

    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second = nn.Conv2d(3, 4, 1), nn.Conv2d(4, 4, 1)

        def forward(self, images):
            x = self.first(images)
            return self.second(x.relu()) * x

    units, _ = units_of(Twice())
    assert [unit.after for unit in units if unit.kind == 'convolution'] == [(), ()]
