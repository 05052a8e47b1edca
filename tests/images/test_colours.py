import numpy as np
import pytest

from mbv3zoo.images.colours import class_colour, ink_on, oklab
from mbv3zoo.synth import CLASS_NAMES


def least_distance(count):
    places = oklab(np.array([class_colour(label) for label in range(count)]))
    distances = np.linalg.norm(places[:, None] - places, axis=2) + 9 * np.eye(count)
    return distances.min()


def test_oklab_of_known_colours():
    """White and pure red, as the definition of OKLab gives them."""
    expected = [[1, 0, 0], [0.6279554, 0.2248631, 0.1258463]]
    assert np.allclose(oklab(np.array([[255, 255, 255], [255, 0, 0]])), expected, atol=1e-3)


# About 0.02 is the least difference that is seen between areas side by side.
@pytest.mark.parametrize(('count', 'bound'), [(2, 0.4), (len(CLASS_NAMES), 0.12), (20, 0.12), (80, 0.06), (200, 0.04)])
def test_classes_of_one_picture_are_told_apart(count, bound):
    assert least_distance(count) > bound


def test_crescent_and_ring_are_not_both_teal():
    crescent, ring = (oklab(np.array(class_colour(CLASS_NAMES.index(name)))) for name in ('crescent', 'ring'))
    assert np.linalg.norm(crescent - ring) > 0.2


def test_any_class_has_a_colour_that_shows_on_black_and_on_white():
    for label in (0, 5, 199, 200, 1202, 10**9):
        lightness = oklab(np.array(class_colour(label)))[0]
        assert 0.45 < lightness < 0.9 and all(isinstance(value, int) for value in class_colour(label))


def test_captions_can_be_read_by_the_measure_of_wcag():
    def luminance(colour):
        shares = [value / 255 for value in colour]
        red, green, blue = (v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in shares)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    for label in range(200):
        colour = class_colour(label)
        dark, light = sorted([luminance(colour), luminance(ink_on(colour))])
        assert (light + 0.05) / (dark + 0.05) >= 4.5
