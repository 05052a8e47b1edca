import numpy as np

from mbv3zoo.synth.outlines import ellipse, rectangle, spokes, stroke


def area(points):
    x, y = points.T
    return abs(np.dot(x, np.roll(y, 1)) - np.dot(y, np.roll(x, 1))) / 2


def test_ellipse_has_the_area_of_an_ellipse():
    np.testing.assert_allclose(area(ellipse((3, -2), 2, 0.5, count=400)), np.pi, rtol=1e-3)


def test_ellipse_without_a_second_radius_is_a_circle():
    points = ellipse((1, 1), 2)
    np.testing.assert_allclose(np.linalg.norm(points - 1, axis=1), 2)


def test_rectangle_and_spokes():
    assert area(rectangle(-1, 0, 2, 4)) == 12
    np.testing.assert_allclose(spokes(np.array([1, 2]), np.array([0, np.pi / 2])), [[1, 0], [0, 2]], atol=1e-12)


def test_stroke_of_a_straight_line_is_length_times_width():
    np.testing.assert_allclose(area(stroke(np.array([[0, 0], [3, 4]]), 0.5)), 2.5)
