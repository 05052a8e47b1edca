"""One drawn object: a shape, rotated, rasterised with anti-aliasing, and textured."""

from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from mbv3zoo.synth.shapes import CLASS_NAMES, Part, draw_shape
from mbv3zoo.synth.textures import random_color, texture

_SUPERSAMPLING = 4


class Sprite(NamedTuple):
    """An object ready to be pasted: ``rgb`` float32 [h, w, 3] in 0..255, ``alpha`` float32 [h, w] in 0..1."""

    rgb: np.ndarray
    alpha: np.ndarray


class DrawnObjects:
    """Objects drawn on demand, one class per shape."""

    class_names = CLASS_NAMES

    def sprite(self, rng: np.random.Generator, label: int, size: float) -> Sprite:
        """A random object of class ``label`` whose longest side is ``size`` pixels."""
        parts, width, height = _turn(rng, draw_shape(rng, label), size)
        solid = [(part.points, part.kind == 'fill') for part in parts if part.kind in ('fill', 'hole')]
        alpha = _coverage(solid, width, height)
        rgb = texture(rng, height, width)
        if rng.random() < 0.6:
            rgb = rgb * _light(rng, height, width)
        if rng.random() < 0.35:
            rim = _rim(alpha, radius=max(size * rng.uniform(0.02, 0.05), 0.8))[..., None]
            rgb = rgb * (1 - rim) + random_color(rng) * rng.uniform(0.1, 1.0) * rim
        for part in parts:
            if part.kind in ('dark', 'light'):
                cover = _coverage([(part.points, True)], width, height)[..., None] * rng.uniform(0.55, 0.8)
                rgb = rgb * (1 - cover) + (255 * cover if part.kind == 'light' else 0)
        return Sprite(rgb.astype(np.float32), alpha)


def _turn(rng: np.random.Generator, parts: list[Part], size: float) -> tuple[list[Part], int, int]:
    # A random rotation and flip, squeezed a little along a random direction as by a tilted view, then scaled to
    # `size` and moved into a box with a margin of one pixel.
    first, second = rng.uniform(0, 2 * np.pi, size=2)
    mirror = np.diag([rng.choice([-1.0, 1.0]), rng.uniform(0.8, 1.0)])
    matrix = _rotation(first) @ mirror @ _rotation(second)
    turned = [Part(part.kind, part.points @ matrix.T) for part in parts]
    solid = np.concatenate([part.points for part in turned if part.kind == 'fill'])
    low, extent = solid.min(axis=0), np.ptp(solid, axis=0)
    scale = size / extent.max()
    width, height = np.ceil(extent * scale).astype(int) + 2
    placed = [Part(part.kind, (part.points - low) * scale + 1) for part in turned]
    return placed, int(width), int(height)


def _rotation(angle: float) -> np.ndarray:
    return np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])


def _coverage(polygons: list[tuple[np.ndarray, bool]], width: int, height: int) -> np.ndarray:
    mask = Image.new('L', (width * _SUPERSAMPLING, height * _SUPERSAMPLING), 0)
    draw = ImageDraw.Draw(mask)
    for points, solid in polygons:
        draw.polygon((points * _SUPERSAMPLING - 0.5).ravel().tolist(), fill=255 if solid else 0)
    return np.asarray(mask.reduce(_SUPERSAMPLING), dtype=np.float32) / 255


def _light(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    # Brightness that falls off across the object, as under a lamp to one side.
    angle, depth = rng.uniform(0, 2 * np.pi), rng.uniform(0.1, 0.45)
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    ramp = x * np.float32(np.cos(angle)) / width + y * np.float32(np.sin(angle)) / height
    ramp = (ramp - ramp.min()) / max(float(np.ptp(ramp)), 1e-6)
    return (1 - np.float32(depth) * ramp)[..., None]


def _rim(alpha: np.ndarray, radius: float) -> np.ndarray:
    # A blurred mask is 1/2 at the border and 1 at `radius` inside it.
    soft = Image.fromarray((alpha * 255).astype(np.uint8)).filter(ImageFilter.BoxBlur(radius))
    return np.clip((1 - np.asarray(soft, dtype=np.float32) / 255) * 4, 0, 1)
