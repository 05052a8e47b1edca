"""Backgrounds: drawn, or crops of a user's images."""

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from mbv3zoo.synth.outlines import spokes
from mbv3zoo.synth.pictures import check_picture, read_picture
from mbv3zoo.synth.textures import random_color, texture, value_noise
from mbv3zoo.utils.files import find_files

_SUFFIXES = ('.bmp', '.jpeg', '.jpg', '.png', '.webp')


class DrawnBackgrounds:
    """Backgrounds drawn on demand: gradients, noise, planks and patterns, with clutter that is of no class."""

    def picture(self, rng: np.random.Generator, height: int, width: int) -> np.ndarray:
        """A background, float32 [height, width, 3] in 0..255."""
        muted = rng.random() < 0.65
        base = (_mottled, _mottled, _planks, _patterned)[rng.integers(4)](rng, height, width, muted)
        if rng.random() < 0.65:
            base = _clutter(rng, base, muted)
        if rng.random() < 0.5:
            grain = value_noise(rng, height, width, cell=rng.uniform(2, 12), octaves=2)[..., None]
            base = base + (grain - 0.5) * rng.uniform(10, 50)
        return np.clip(base, 0, 255).astype(np.float32)


def _mottled(rng: np.random.Generator, height: int, width: int, muted: bool) -> np.ndarray:
    cell, octaves = max(height, width) * rng.uniform(0.1, 0.8), int(rng.integers(1, 6))
    share = value_noise(rng, height, width, cell, octaves)[..., None]
    return random_color(rng, muted) * (1 - share) + random_color(rng, muted) * share


def _planks(rng: np.random.Generator, height: int, width: int, muted: bool) -> np.ndarray:
    count = int(rng.integers(3, 12))
    upright = rng.random() < 0.5
    length = width if upright else height
    row = np.arange(length) * count / length + rng.random()
    tone = rng.uniform(0.75, 1.1, size=count + 2)[row.astype(int)]
    seam = np.where(row % 1 < 0.04, rng.uniform(0.4, 0.9), 1.0)
    along = (value_noise(rng, height, width, cell=max(height, width) * 0.25, octaves=4) - 0.5) * 60
    band = (tone * seam)[None, :, None] if upright else (tone * seam)[:, None, None]
    return (random_color(rng, muted) + along[..., None]) * band


def _patterned(rng: np.random.Generator, height: int, width: int, muted: bool) -> np.ndarray:
    # Mixed with a plain colour, as the full contrast of a texture would hide the objects.
    share = rng.uniform(0.2, 0.6)
    return texture(rng, height, width, muted) * share + random_color(rng, muted) * (1 - share)


def _clutter(rng: np.random.Generator, base: np.ndarray, muted: bool) -> np.ndarray:
    # Ragged polygons, blobs and random lines, which belong to no class.
    height, width = base.shape[:2]
    layer = Image.new('RGBA', (width * 2, height * 2), (0, 0, 0, 0))
    draw = ImageDraw.Draw(layer)
    for _ in range(rng.integers(3, 16)):
        color = tuple(int(v) for v in random_color(rng, muted)) + (int(rng.uniform(60, 230)),)
        center = rng.uniform(0, 1, size=2) * [width * 2, height * 2]
        size = max(height, width) * rng.uniform(0.06, 0.5)
        kind = rng.integers(3)
        if kind == 2:
            steps = rng.normal(0, size * 0.5, size=(int(rng.integers(2, 7)), 2))
            line = (center + np.cumsum(steps, axis=0)).ravel().tolist()
            draw.line(line, fill=color, width=int(rng.integers(1, 10)))
        else:
            outline = _ragged(rng) if kind == 0 else _blob(rng)
            draw.polygon((center + outline * size).ravel().tolist(), fill=color)
    pixels = np.asarray(layer.reduce(2), dtype=np.float32)
    alpha = pixels[..., 3:] / 255
    return base * (1 - alpha) + pixels[..., :3] * alpha


def _ragged(rng: np.random.Generator) -> np.ndarray:
    # At least six corners, spread around the centre: fewer, or closer ones, could look like triangles and bolts.
    count = int(rng.integers(6, 11))
    angles = (np.arange(count) + rng.uniform(-0.3, 0.3, size=count)) * (2 * np.pi / count)
    return spokes(rng.uniform(0.5, 1.0, size=count), angles)


def _blob(rng: np.random.Generator) -> np.ndarray:
    angles = np.linspace(0, 2 * np.pi, 48)
    waves = [rng.uniform(0.1, 0.25) * np.sin(k * angles + rng.uniform(0, 2 * np.pi)) for k in (2, 3, 4)]
    return spokes(0.7 + np.sum(waves, axis=0), angles)


class BackgroundFolder:
    """Random crops of the images in a folder.

    Args:
        folder: folder of images, searched recursively.

    Raises:
        ValueError: no such folder, no image in it, or a file that cannot be read.
    """

    def __init__(self, folder: Path) -> None:
        if not folder.is_dir():
            raise ValueError(f'backgrounds {str(folder)!r} is no folder; expected a folder of pictures')
        self.paths = find_files(folder, _SUFFIXES)
        if not self.paths:
            raise ValueError(f'no picture in backgrounds {str(folder)!r}; expected {", ".join(_SUFFIXES)} files')
        for path in self.paths:
            check_picture(path)

    def picture(self, rng: np.random.Generator, height: int, width: int) -> np.ndarray:
        """A background, float32 [height, width, 3] in 0..255."""
        # Twice the size, as the crop may be half of the image.
        image = read_picture(self.paths[rng.integers(len(self.paths))], 'RGB', (2 * width, 2 * height))
        fit = min(image.width / width, image.height / height)
        crop_width, crop_height = np.array([width, height]) * fit * rng.uniform(0.5, 1.0)
        left, top = rng.random(2) * [image.width - crop_width, image.height - crop_height]
        box = (left, top, left + crop_width, top + crop_height)
        crop = image.resize((width, height), Image.Resampling.BILINEAR, box=box)
        if rng.random() < 0.5:
            crop = crop.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        return np.array(crop, dtype=np.float32)
