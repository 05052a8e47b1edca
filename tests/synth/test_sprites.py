import numpy as np
import pytest

from mbv3zoo.synth.shapes import CLASS_NAMES
from mbv3zoo.synth.sprites import DrawnObjects


@pytest.mark.parametrize('label', range(len(CLASS_NAMES)), ids=CLASS_NAMES)
@pytest.mark.parametrize('size', [16, 50.5, 192])
def test_sprites_have_the_size_asked_for(label, size):
    for seed in range(4):
        rgb, alpha = DrawnObjects().sprite(np.random.default_rng(seed), label, size)
        assert rgb.shape == (*alpha.shape, 3) and rgb.dtype == alpha.dtype == np.float32
        assert rgb.min() >= 0 and rgb.max() <= 255 and alpha.min() == 0 and 0.9 < alpha.max() <= 1
        assert max(alpha.shape) == int(np.ceil(size)) + 2
        y, x = np.nonzero(alpha > 0.5)
        longest = max(np.ptp(x), np.ptp(y)) + 1
        # Thin tips may fall below half coverage, and the scallops of an umbrella lie inside its outline.
        assert 0.75 * size - 2 <= longest <= size + 2


def test_edges_are_smooth():
    alpha = DrawnObjects().sprite(np.random.default_rng(0), CLASS_NAMES.index('ball'), 60).alpha
    partial = (alpha > 0.05) & (alpha < 0.95)
    assert partial.sum() > 60


def test_every_angle_occurs():
    # The centroid of an arrow lies towards its head: its direction says how the arrow is turned.
    objects, rng, label = DrawnObjects(), np.random.default_rng(0), CLASS_NAMES.index('arrow')
    quadrants = set()
    for _ in range(60):
        alpha = objects.sprite(rng, label, 40).alpha
        y, x = np.nonzero(alpha > 0.5)
        offset = np.array([x.mean(), y.mean()]) - (np.array(alpha.shape[::-1]) - 1) / 2
        quadrants.add(tuple(offset > 0))
    assert len(quadrants) == 4
