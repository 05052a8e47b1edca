"""The frozen cases were computed from these values elsewhere, so a change of one bit breaks them all."""

import zlib

import numpy as np
import pytest
from reference_weights import reference_value


@pytest.mark.parametrize(
    ('name', 'shape', 'low', 'high'),
    [
        ('model.0.conv.weight', (16, 3, 6, 6), -1 / 6, 1 / 6),
        ('model.0.se.linear1.weight', (18, 72), -0.2042, 0.2042),
        ('model.0.bn.weight', (1000,), 0.5, 1.5),
        ('model.0.norm.bias', (1000,), -0.2, 0.2),
        ('model.0.bn.running_mean', (1000,), -0.2, 0.2),
        ('model.0.bn.running_var', (1000,), 0.5, 1.5),
        ('model.24.m.0.bias', (255,), -0.5, 0.5),
    ],
)
def test_values_lie_in_their_range_and_fill_it(name, shape, low, high):
    value = reference_value(name, shape)
    assert value.shape == shape and value.dtype == np.float32
    assert low - 1e-6 <= value.min() < low + 0.03 * (high - low)
    assert high - 0.03 * (high - low) < value.max() <= high + 1e-6


def test_the_bits_are_these():
    assert zlib.crc32(reference_value('model.0.conv.weight', (16, 3, 6, 6)).tobytes()) == 0xEDA5EEFC
    assert zlib.crc32(reference_value('model.24.m.0.bias', (255,)).tobytes()) == 0xC0D753DA


def test_counters_are_zero_and_other_names_are_refused():
    assert reference_value('model.0.bn.num_batches_tracked', ()) == 0
    with pytest.raises(ValueError, match='anchors'):
        reference_value('model.24.anchors', (3, 3, 2))
