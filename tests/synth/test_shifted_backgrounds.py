import numpy as np
import pytest

from mbv3zoo.synth import shifted_backgrounds
from mbv3zoo.synth.backgrounds import DrawnBackgrounds
from mbv3zoo.synth.shifted_backgrounds import ShiftedBackgrounds

FAMILIES = ['_wall', '_paving', '_grass', '_skyline']


@pytest.mark.parametrize('shape', [(43, 64), (64, 48)])
def test_backgrounds_vary_and_stay_in_range(shape):
    means = []
    for seed in range(25):
        picture = ShiftedBackgrounds().picture(np.random.default_rng(seed), *shape)
        assert picture.shape == (*shape, 3) and picture.dtype == np.float32
        assert picture.min() >= 0 and picture.max() <= 255
        means.append(picture.mean())
    assert np.std(means) > 15


@pytest.mark.parametrize('family', FAMILIES)
def test_every_family_is_drawn_at_every_size_and_fills_the_picture(family):
    draw = getattr(shifted_backgrounds, family)
    for seed in range(12):
        shape = [(43, 64), (64, 64), (96, 72), (200, 300)][seed % 4]
        picture = draw(np.random.default_rng(seed), *shape)
        assert picture.shape == (*shape, 3) and np.isfinite(picture).all()
        # No quarter of it is one flat colour.
        height, width = shape[0] // 2, shape[1] // 2
        for y in (0, height):
            for x in (0, width):
                assert picture[y : y + height, x : x + width].std() > 1


def test_the_generator_decides_everything():
    for seed in range(6):
        first, again = (ShiftedBackgrounds().picture(np.random.default_rng(seed), 64, 48) for _ in range(2))
        np.testing.assert_array_equal(first, again)


def look(picture):
    """How much changes from pixel to pixel at four scales, how unevenly, and how colourful it is."""
    grey = picture.mean(axis=2)
    steps = []
    for stride in (1, 2, 4, 8):
        small = grey[::stride, ::stride]
        change = np.concatenate([abs(np.diff(small, axis=0)).ravel(), abs(np.diff(small, axis=1)).ravel()])
        steps += [np.log(change.mean() + 1), np.log(change.std() + 1), np.log(np.median(change) + 1)]
    return [*steps, picture.std(axis=2).mean() / 40]


def test_they_do_not_look_like_those_of_training():
    count, shape = 80, (96, 96)
    kinds = [DrawnBackgrounds(), ShiftedBackgrounds()]
    looks = np.array([look(kind.picture(np.random.default_rng(i), *shape)) for kind in kinds for i in range(count)])
    truth = np.repeat([0, 1], count)
    distance = np.linalg.norm(looks[:, None] - looks[None], axis=2)
    np.fill_diagonal(distance, np.inf)
    # By the majority of the five that look most alike: coarse figures tell which kind a background is of.
    guess = truth[np.argsort(distance, axis=1)[:, :5]].mean(axis=1) > 0.5
    assert np.mean(guess == truth) > 0.75
