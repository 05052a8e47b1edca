from collections import Counter

import numpy as np

from mbv3zoo.widths.records import ChannelGroup, Channels, Groups, Operation


def test_a_group_has_as_many_units_as_its_places_have_rows():
    # Units of a convolution with 3 groups of 2 channels.
    places = (('a.weight', 0, np.arange(6).reshape(3, 2)), ('b.weight', 1, np.arange(6).reshape(3, 2) + 4))
    assert ChannelGroup('a', 2, places).units == 3


def test_channels_are_counted_by_the_units_that_stay():
    channels = Channels(5, (('a', 1), ('b', 4)))
    assert channels.count({'a': 10, 'b': 3, 'other': 7}) == 5 + 10 + 4 * 3
    assert Channels(3, ()).count({}) == 3


def test_operations_other_than_convolutions_have_no_settings():
    operation = Operation('add', (Channels(2, ()), Channels(2, ())), Channels(2, ()), (4, 4), (0, 1))
    assert operation.settings == ()
    assert Groups((), (operation,), Counter()).operations[0].sources == (0, 1)
