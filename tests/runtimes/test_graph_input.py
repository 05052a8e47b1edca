import numpy as np
import pytest

from mbv3zoo.runtimes.graph_input import GraphInput

FLOAT = np.dtype(np.float32)


def test_static_shapes_stay_and_dynamic_ones_get_size_and_batch():
    fixed, free = GraphInput((2, 3, 64, 96), FLOAT), GraphInput((None, None, None, None), FLOAT)
    assert fixed.fill(None, 2) == fixed.fill((64, 96), 2) == (2, 3, 64, 96)
    assert free.fill((64, 96), 4) == (4, 3, 64, 96) and free.fill(None, 1, (32, 64)) == (1, 3, 32, 64)
    with pytest.raises(ValueError, match='pictures of 64 x 96 only, given 96 x 96'):
        fixed.fill((96, 96), 2)
    with pytest.raises(ValueError, match='batches of 2 only, given 1'):
        fixed.fill(None, 1)


def test_channels_may_come_last():
    assert GraphInput((1, None, None, 3), FLOAT).fill((64, 96), 1) == (1, 64, 96, 3)
    assert GraphInput((1, 3, None, 3), FLOAT).sides == (2, 3)
