"""Backgrounds of the shift split: walls, paving, grass and skylines, which training never sees."""

import colorsys

import numpy as np
from PIL import Image, ImageDraw

from mbv3zoo.synth.textures import random_color, value_noise
from mbv3zoo.synth.warp import pixel_grid, sample


class ShiftedBackgrounds:
    """Backgrounds drawn on demand, of other kinds than :class:`DrawnBackgrounds`, and without its clutter."""

    def picture(self, rng: np.random.Generator, height: int, width: int) -> np.ndarray:
        """A background, float32 [height, width, 3] in 0..255."""
        base = (_wall, _paving, _grass, _skyline)[rng.integers(4)](rng, height, width)
        return np.clip(base, 0, 255).astype(np.float32)


def _color(
    rng: np.random.Generator, hues: tuple[float, float], saturations: tuple[float, float], values: tuple[float, float]
) -> np.ndarray:
    # Hues are cyclic: 1 is red again.
    color = colorsys.hsv_to_rgb(rng.uniform(*hues) % 1, rng.uniform(*saturations), rng.uniform(*values))
    return np.array(color, dtype=np.float32) * 255


def _ink(color: np.ndarray) -> tuple[int, ...]:
    return tuple(int(value) for value in color)


def _earthen(rng: np.random.Generator) -> np.ndarray:
    # Brick, sandstone and slate; now and then a painted wall.
    if rng.random() < 0.25:
        return random_color(rng, muted=True)
    return _color(rng, (0.98, 1.12), (0.1, 0.6), (0.35, 0.85))


def _wall(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    # Bricks in shifted rows, seen a little askew.
    side = max(height, width)
    y, x = pixel_grid(height, width)
    slant = rng.uniform(-0.12, 0.12)
    row_height = side * rng.uniform(0.06, 0.16)
    brick_width = row_height * rng.uniform(1.6, 3.2)
    joint = max(row_height * rng.uniform(0.06, 0.16), 1.0)
    v = (y + x * slant) / row_height + rng.random() + 4
    row = v.astype(int)
    offsets = rng.permutation(64) / 64 if rng.random() < 0.4 else np.arange(64) % 2 / 2
    u = (x - y * slant) / brick_width + offsets[row % 64] + 4
    column = u.astype(int)
    # Pixels to the nearest side of the brick.
    rim = np.minimum(np.minimum(u % 1, 1 - u % 1) * brick_width, np.minimum(v % 1, 1 - v % 1) * row_height)
    solid = np.clip(rim - joint / 2 + 0.5, 0, 1)[..., None].astype(np.float32)
    tones = rng.uniform(0.7, 1.15, size=(64, 64)).astype(np.float32)
    rough = value_noise(rng, height, width, cell=row_height * 0.6, octaves=4) - 0.5
    # The upper edge catches the light.
    light = 1.1 - 0.25 * (v % 1)
    brick = _earthen(rng) * (tones[row % 64, column % 64] * light)[..., None] + (rough * rng.uniform(20, 70))[..., None]
    mortar = _color(rng, (0.05, 0.15), (0.0, 0.15), (0.3, 0.95)) + rough[..., None] * 30
    return brick * solid + mortar * (1 - solid)


def _paving(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    # Stones as Voronoi cells with joints between them.
    side = max(height, width)
    pitch = side * rng.uniform(0.09, 0.26)
    rows, columns = int(height / pitch) + 3, int(width / pitch) + 3
    seeds = np.stack(np.meshgrid(np.arange(rows), np.arange(columns), indexing='ij'), axis=-1).reshape(-1, 2) - 0.5
    seeds = ((seeds + rng.uniform(-0.42, 0.42, size=seeds.shape) - 0.5) * pitch).astype(np.float32)
    y, x = pixel_grid(height, width)
    nearest = np.full((height, width), np.inf, dtype=np.float32)
    second, owner = nearest.copy(), np.zeros((height, width), dtype=int)
    for index, (seed_y, seed_x) in enumerate(seeds):
        distance = np.hypot(y - seed_y, x - seed_x)
        second = np.minimum(second, np.maximum(distance, nearest))
        owner[distance < nearest] = index
        nearest = np.minimum(nearest, distance)
    joint = max(pitch * rng.uniform(0.06, 0.16), 1.5)
    solid = np.clip((second - nearest - joint) / 2 + 0.5, 0, 1)[..., None]
    first, other = _earthen(rng), _earthen(rng)
    mix = rng.random(len(seeds)).astype(np.float32)[owner][..., None]
    tone = rng.uniform(0.75, 1.1, size=len(seeds)).astype(np.float32)[owner]
    dome = 1 - rng.uniform(0.1, 0.45) * nearest / np.maximum(second, 1e-3)
    rough = (value_noise(rng, height, width, cell=pitch * 0.4, octaves=4) - 0.5)[..., None]
    stone = (first * mix + other * (1 - mix)) * (tone * dome)[..., None] + rough * rng.uniform(15, 60)
    mortar = _color(rng, (0.05, 0.3), (0.0, 0.3), (0.1, 0.8)) + rough * 30
    return stone * solid + mortar * (1 - solid)


def _grass(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    # Thin bent blades in layers, the lower ones darker; not leaves, which are a class.
    side = 2 * max(height, width)
    hue = rng.uniform(0.1, 0.36)
    soil = _color(rng, (hue, hue), (0.3, 0.6), (0.15, 0.4))
    image = Image.new('RGB', (2 * width, 2 * height), _ink(soil))
    draw = ImageDraw.Draw(image)
    lean, spread = rng.uniform(-np.pi, 0) if rng.random() < 0.5 else -np.pi / 2, rng.uniform(0.15, 0.7)
    count = int(rng.integers(250, 600))
    longest, widest = side * rng.uniform(0.12, 0.35), side * rng.uniform(0.004, 0.012)
    low, high = rng.uniform(0.2, 0.4), rng.uniform(0.55, 0.85)
    along = np.linspace(0, 1, 7)[:, None]
    for index in range(count):
        depth = index / count
        root = rng.uniform(-0.1, 1.15, size=2) * [2 * width, 2 * height]
        angle, bend = rng.normal(lean, spread), rng.normal(0, 0.35)
        length = longest * rng.uniform(0.4, 1.0)
        direction = np.array([np.cos(angle), np.sin(angle)])
        across = np.array([-direction[1], direction[0]])
        spine = root + along * length * direction + along**2 * length * bend * across
        edge = (1 - along**2) * across * widest * rng.uniform(0.5, 1.0)
        value = low + (high - low) * depth
        color = _color(rng, (hue - 0.05, hue + 0.05), (0.25, 0.75), (value - 0.12, value + 0.12))
        outline = np.concatenate([spine + edge, (spine - edge)[::-1]])
        draw.polygon(outline.ravel().tolist(), fill=_ink(color))
    return np.asarray(image.reduce(2), dtype=np.float32)


def _skyline(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    # A sky with drifting clouds; often houses with rows of windows stand before it.
    hue = rng.uniform(0.52, 0.66) if rng.random() < 0.6 else rng.uniform(0.7, 1.12)
    top = _color(rng, (hue, hue + 0.05), (0.2, 0.75), (0.35, 0.9))
    bottom = _color(rng, (0.0, 1.0), (0.05, 0.35), (0.7, 1.0))
    fall = np.linspace(0, 1, height, dtype=np.float32)[:, None, None]
    sky = top * (1 - fall) + bottom * fall
    share = _clouds(rng, height, width)[..., None] * rng.uniform(0.5, 0.95)
    sky = sky * (1 - share) + _color(rng, (0.0, 1.0), (0.0, 0.12), (0.55, 1.0)) * share
    if rng.random() < 0.7:
        for depth in (0.45, 1.0):
            _houses(rng, sky, depth)
    return sky


def _clouds(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    # Noise sampled at positions displaced by other noise: wisps rather than blots.
    side = max(height, width)
    y, x = pixel_grid(height, width)
    reach = side * rng.uniform(0.15, 0.5)
    drift_x = (value_noise(rng, height, width, side * 0.4, octaves=3) - 0.5) * reach
    drift_y = (value_noise(rng, height, width, side * 0.4, octaves=3) - 0.5) * reach * 0.5
    noise = sample(value_noise(rng, height, width, side * 0.3, octaves=5), y + drift_y, x + drift_x)
    return np.clip((noise - rng.uniform(0.35, 0.55)) * rng.uniform(2.5, 6), 0, 1)


def _houses(rng: np.random.Generator, canvas: np.ndarray, depth: float) -> None:
    # Far ones (depth < 1) fade into the sky behind them.
    height, width = canvas.shape[:2]
    side, left = max(height, width), 0
    while left < width:
        right = left + max(int(side * rng.uniform(0.08, 0.24)), 4)
        roof = int(height * (1 - rng.uniform(0.1, 0.75) * (1.3 - 0.5 * depth)))
        if rng.random() < 0.8 and roof > 0:
            front = canvas[roof:, left:right]
            front += (_earthen(rng) * rng.uniform(0.5, 1.0) - front) * depth
            y, x = pixel_grid(*front.shape[:2])
            cell_y, cell_x = side * rng.uniform(0.025, 0.06, size=2)
            lit = rng.random((int(height / cell_y) + 2, int(side / cell_x) + 2)) < rng.uniform(0.2, 1.0)
            row, column = y / cell_y, x / cell_x
            pane = (row % 1 > 0.45) & (column % 1 > 0.4) & lit[row.astype(int), column.astype(int)]
            front[pane] += (_color(rng, (0.0, 1.0), (0.05, 0.3), (0.15, 0.95)) - front[pane]) * 0.7 * depth
        left = right if rng.random() < 0.7 else right + int(side * rng.uniform(0.0, 0.1))
