import numpy as np
import pytest

from mbv3zoo.synth.warp import bent_view, pixel_grid, sample


def slow_sample(picture, y, x):
    """One value: the four pixels around a place, weighted by how near they are."""
    height, width = picture.shape[:2]
    y, x = min(max(y, 0), height - 1), min(max(x, 0), width - 1)
    total = 0.0
    for row in range(height):
        for column in range(width):
            total = total + max(0, 1 - abs(row - y)) * max(0, 1 - abs(column - x)) * picture[row, column]
    return total


@pytest.mark.parametrize('shape', [(6, 9), (9, 6, 3)])
def test_sample_is_bilinear_and_goes_on_at_the_border(shape):
    rng = np.random.default_rng(0)
    picture = rng.random(shape, dtype=np.float32)
    y, x = rng.uniform(-2, 11, size=(2, 4, 5))
    expected = [[slow_sample(picture, y[i, j], x[i, j]) for j in range(5)] for i in range(4)]
    read = sample(picture, y, x)
    assert read.dtype == np.float32
    np.testing.assert_allclose(read, expected, atol=1e-5)


def test_sample_at_the_pixels_is_the_picture_also_for_masks():
    mask = np.random.default_rng(0).random((7, 5)) > 0.5
    np.testing.assert_array_equal(sample(mask, *pixel_grid(7, 5)), mask)


@pytest.mark.parametrize('shape', [(64, 64), (43, 64), (64, 48)])
def test_a_view_without_tilt_and_bulge_changes_nothing(shape):
    np.testing.assert_allclose(bent_view(*shape, (0.0, 0.0), 0.0), pixel_grid(*shape), atol=1e-4)


@pytest.mark.parametrize('tilt', [(0.0, 0.0), (0.1, -0.1), (-0.1, 0.05)])
@pytest.mark.parametrize('bulge', [-0.06, 0.0, 0.12])
def test_a_view_stays_inside_the_picture_and_shows_most_of_it(tilt, bulge):
    y, x = bent_view(40, 60, tilt, bulge)
    assert y.shape == x.shape == (40, 60)
    assert y.min() > -1e-3 and x.min() > -1e-3 and y.max() < 39.001 and x.max() < 59.001
    assert np.ptp(y) > 0.75 * 39 and np.ptp(x) > 0.75 * 59
    # Nothing is mirrored or folded.
    assert (np.diff(y, axis=0) > 0).all() and (np.diff(x, axis=1) > 0).all()


def test_tilt_makes_one_side_larger():
    y, _ = bent_view(101, 101, (0.1, 0.0), 0.0)
    left, right = np.diff(y[:, 0]).mean(), np.diff(y[:, -1]).mean()
    # Fewer rows of the scene over the same height: larger.
    assert left / right == pytest.approx(1.2, abs=0.05)


@pytest.mark.parametrize(('bulge', 'sign'), [(0.12, 1), (-0.06, -1)])
def test_bulge_bows_straight_lines_out_or_in(bulge, sign):
    _, x = bent_view(101, 101, (0.0, 0.0), bulge)
    # Where the line x = 80 of the scene appears, in the middle row and in the first.
    middle, corner = (np.interp(80, row, np.arange(101)) for row in (x[50], x[0]))
    assert sign * (middle - corner) > 0.5
