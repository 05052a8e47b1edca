"""Colours and patterns, shared by objects and backgrounds."""

import colorsys

import numpy as np
from PIL import Image


def random_color(rng: np.random.Generator, muted: bool = False) -> np.ndarray:
    """A colour, float32 [3] in 0..255; ``muted`` keeps the saturation low."""
    saturation = rng.uniform(0.0, 0.35) if muted else rng.uniform(0.35, 1.0)
    color = colorsys.hsv_to_rgb(rng.random(), saturation, rng.uniform(0.25, 1.0))
    return np.array(color, dtype=np.float32) * 255


def value_noise(rng: np.random.Generator, height: int, width: int, cell: float, octaves: int = 3) -> np.ndarray:
    """Smooth noise, float32 [height, width] in 0..1, with features of up to about ``cell`` pixels."""
    total = np.zeros((height, width), dtype=np.float32)
    for octave in range(octaves):
        step = max(cell / 2**octave, 1.0)
        grid = rng.random((int(height / step) + 2, int(width / step) + 2), dtype=np.float32)
        layer = Image.fromarray(grid).resize((width, height), Image.Resampling.BICUBIC)
        total += np.asarray(layer) * 0.5**octave
    low, high = total.min(), total.max()
    return (total - low) / max(high - low, 1e-6)


def _turned_grid(rng: np.random.Generator, height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    # Pixel coordinates in a frame at a random angle, so that no pattern is tied to the image axes.
    angle = rng.uniform(0, 2 * np.pi)
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    cos, sin = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    return x * cos + y * sin, y * cos - x * sin


def _solid(rng: np.random.Generator, height: int, width: int, period: float) -> np.ndarray:
    return np.zeros((height, width), dtype=np.float32)


def _gradient(rng: np.random.Generator, height: int, width: int, period: float) -> np.ndarray:
    u, _ = _turned_grid(rng, height, width)
    return (u - u.min()) / max(float(np.ptp(u)), 1.0)


def _edge(wave: np.ndarray, period: float) -> np.ndarray:
    # A sine turned into bands with edges about a pixel wide.
    return np.clip(wave * (period / 4) + 0.5, 0, 1)


def _stripes(rng: np.random.Generator, height: int, width: int, period: float) -> np.ndarray:
    u, _ = _turned_grid(rng, height, width)
    return _edge(np.sin(u * (2 * np.pi / period)) + rng.uniform(-0.5, 0.5), period)


def _dots(rng: np.random.Generator, height: int, width: int, period: float) -> np.ndarray:
    u, v = _turned_grid(rng, height, width)
    scale = 2 * np.pi / period
    return _edge(np.cos(u * scale) + np.cos(v * scale) - rng.uniform(0.3, 1.0), period)


def _checker(rng: np.random.Generator, height: int, width: int, period: float) -> np.ndarray:
    u, v = _turned_grid(rng, height, width)
    scale = 2 * np.pi / period
    return _edge(np.sin(u * scale) * np.sin(v * scale) * 2, period)


def _noise(rng: np.random.Generator, height: int, width: int, period: float) -> np.ndarray:
    return value_noise(rng, height, width, period * 1.5)


_PATTERNS = (_solid, _gradient, _stripes, _dots, _noise, _checker)


def texture(rng: np.random.Generator, height: int, width: int, muted: bool = False) -> np.ndarray:
    """A random two-colour texture, float32 [height, width, 3] in 0..255."""
    pattern = _PATTERNS[rng.integers(len(_PATTERNS))]
    period = max(max(height, width) * rng.uniform(0.12, 0.4), 4.0)
    share = pattern(rng, height, width, period)[..., None]
    first, second = random_color(rng, muted), random_color(rng, muted)
    return first * (1 - share) + second * share
