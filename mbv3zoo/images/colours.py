"""Colours of classes that are told apart, and the ink that can be read on them."""

from __future__ import annotations

from functools import cache

import numpy as np

Colour = tuple[int, int, int]

# From this number on, classes have the colours of the first ones again.
_MOST = 200
# OKLab (B. Ottosson, "A perceptual color space for image processing", 2020): linear RGB -> cones -> L, a, b.
_CONES = np.array(
    [[0.41222147, 0.53633254, 0.05144599], [0.2119035, 0.6806995, 0.10739696], [0.08830246, 0.28171884, 0.6299787]]
)
_LAB = np.array(
    [[0.21045426, 0.79361779, -0.00407205], [1.9779985, -2.42859221, 0.45059371], [0.0259040, 0.78277177, -0.80867577]]
)
# Of thin lines the hue is seen better than the lightness.
_LIGHTNESS = 0.6


def class_colour(label: int) -> Colour:
    """The colour of a class, RGB in 0..255: of the first N classes, whatever N is, no two are alike."""
    return _palette()[label % _MOST]


def ink_on(colour: Colour) -> Colour:
    """Black or white, whichever has the higher contrast on a colour: at least 4.5, as WCAG 2.1 (1.4.3) asks for."""
    luminance = float(_linear(np.array(colour)) @ (0.2126, 0.7152, 0.0722))
    # (luminance + 0.05) / 0.05 on black is more than 1.05 / (luminance + 0.05) on white.
    return (0, 0, 0) if (luminance + 0.05) ** 2 > 1.05 * 0.05 else (255, 255, 255)


def oklab(colours: np.ndarray) -> np.ndarray:
    """OKLab of RGB colours [..., 3] in 0..255: equal distances look about equally large."""
    return np.cbrt(_linear(colours) @ _CONES.T) @ _LAB.T


@cache
def _palette() -> tuple[Colour, ...]:
    """Each colour is the one that is furthest from all before it, of those that show on dark and on light images."""
    steps = np.arange(0, 256, 15)
    grid = np.stack(np.meshgrid(steps, steps, steps, indexing='ij'), -1).reshape(-1, 3)
    places = oklab(grid)
    chroma = np.hypot(places[:, 1], places[:, 2])
    shown = (places[:, 0] > 0.45) & (places[:, 0] < 0.9) & (chroma > 0.09)
    grid, places, chroma = grid[shown], places[shown] * (_LIGHTNESS, 1, 1), chroma[shown]
    distance, chosen = np.full(len(grid), np.inf), [int(chroma.argmax())]
    while len(chosen) < _MOST:
        distance = np.minimum(distance, np.square(places - places[chosen[-1]]).sum(1))
        chosen.append(int(distance.argmax()))
    return tuple((int(red), int(green), int(blue)) for red, green, blue in grid[chosen])


def _linear(colours: np.ndarray) -> np.ndarray:
    shares = colours / 255
    return np.where(shares <= 0.04045, shares / 12.92, ((shares + 0.055) / 1.055) ** 2.4)
