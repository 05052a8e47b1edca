import numpy as np
import pytest

from mbv3zoo.synth.textures import random_color, texture, value_noise


@pytest.mark.parametrize('shape', [(1, 1), (3, 40), (57, 20)])
def test_textures_of_any_size_stay_in_range(shape):
    for seed in range(30):
        pixels = texture(np.random.default_rng(seed), *shape)
        assert pixels.shape == (*shape, 3)
        assert pixels.min() >= 0 and pixels.max() <= 255


def test_textures_differ_and_some_have_two_colours():
    textures = [texture(np.random.default_rng(seed), 32, 32) for seed in range(30)]
    spread = [pixels.std(axis=(0, 1)).max() for pixels in textures]
    assert min(spread) < 1e-3 < 20 < max(spread)


def test_muted_colours_are_less_saturated():
    rng = np.random.default_rng(0)

    def saturation(muted):
        colors = np.array([random_color(rng, muted) for _ in range(200)])
        return (np.ptp(colors, axis=1) / colors.max(axis=1)).mean()

    assert saturation(True) < 0.3 < saturation(False)


@pytest.mark.parametrize('cell', [0.5, 4, 500])
def test_noise_fills_0_to_1(cell):
    noise = value_noise(np.random.default_rng(0), 20, 30, cell)
    assert noise.shape == (20, 30)
    assert noise.min() == 0 and noise.max() == pytest.approx(1)
    assert np.isfinite(value_noise(np.random.default_rng(0), 1, 1, cell)).all()
