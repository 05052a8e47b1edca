"""Scenes of the shift split: the same objects, taken by a worse camera under another light."""

import numpy as np
from PIL import Image, ImageFilter

from mbv3zoo.synth.config import MIN_VISIBLE_SHARE, SyntheticConfig
from mbv3zoo.synth.scene import Layout, Objects, Scene, arrange, recognisable, to_scene
from mbv3zoo.synth.shifted_backgrounds import ShiftedBackgrounds
from mbv3zoo.synth.textures import value_noise
from mbv3zoo.synth.warp import bent_view, pixel_grid, sample

# Qualities of the JPEG files, below those of training; the second is not reached.
SHIFTED_QUALITY = (20, 50)


def compose_shifted(rng: np.random.Generator, config: SyntheticConfig, objects: Objects) -> Scene:
    """Draw a scene before a background that training never sees, bent by the lens and badly taken.

    Masks are bent along with the picture; boxes are the tight bounds of the bent masks. The backgrounds are
    drawn, also where ``config.backgrounds`` names a folder: that is what the model is trained on.
    """
    layout = _bend(rng, arrange(rng, config, objects, ShiftedBackgrounds()))
    return to_scene(_photograph(rng, layout.canvas), layout)


def _bend(rng: np.random.Generator, layout: Layout) -> Layout:
    height, width = layout.canvas.shape[:2]
    tilt, bulge = rng.uniform(-0.1, 0.1, size=2), rng.uniform(-0.06, 0.12)
    # A narrower view may push an object out of it: then bend less, in the end not at all.
    for strength in (1.0, 0.5, 0.25, 0.0):
        y, x = bent_view(height, width, tuple(tilt * strength), bulge * strength)
        # Masks share no pixel, so of two that are read between pixels at most one is above a half.
        masks = [sample(mask, y, x) > 0.5 for mask in layout.masks]
        if all(recognisable(m, MIN_VISIBLE_SHARE * a) for m, a in zip(masks, layout.areas, strict=True)):
            break
    return layout._replace(canvas=sample(layout.canvas, y, x), masks=masks)


def _photograph(rng: np.random.Generator, canvas: np.ndarray) -> Image.Image:
    side = max(canvas.shape)
    blur = rng.choice(3, p=(0.4, 0.4, 0.2))
    if blur == 0:
        canvas = _defocused(canvas, radius=max(side * rng.uniform(0.003, 0.0055), 0.7))
    elif blur == 1:
        canvas = _shaken(canvas, length=max(side * rng.uniform(0.012, 0.026), 3.0), angle=rng.uniform(0, np.pi))
    canvas = _lit(rng, canvas)
    if rng.random() < 0.75:
        canvas = _noisy(rng, canvas)
    return Image.fromarray(np.clip(canvas + 0.5, 0, 255).astype(np.uint8))


def _defocused(canvas: np.ndarray, radius: float) -> np.ndarray:
    picture = Image.fromarray(np.clip(canvas + 0.5, 0, 255).astype(np.uint8))
    return np.asarray(picture.filter(ImageFilter.GaussianBlur(radius)), dtype=np.float32)


def _shaken(canvas: np.ndarray, length: float, angle: float) -> np.ndarray:
    # The mean along a line, by halves: two copies, each the mean of two nearer ones, and so on. It reaches as
    # far to one side as to the other, so that an object stays in the middle of its box.
    y, x = pixel_grid(*canvas.shape[:2])
    reach = length / 4
    while reach > 0.25:
        down, right = reach * np.sin(angle), reach * np.cos(angle)
        canvas = (sample(canvas, y + down, x + right) + sample(canvas, y - down, x - right)) / 2
        reach /= 2
    return canvas


def _lit(rng: np.random.Generator, canvas: np.ndarray) -> np.ndarray:
    # Too dark, too bright or hazy; a cast of colour; less light on one side or in the corners.
    height, width = canvas.shape[:2]
    share = np.clip(canvas / 255, 0.001, 1)
    exposure, mean = rng.choice(3, p=(0.35, 0.35, 0.3)), share.mean()
    if exposure == 0:
        # A scene that is dark already is not made darker: nobody could find its objects.
        share = share * min(rng.uniform(0.2, 0.32) / mean, 1)
    elif exposure == 1:
        # A curve, not a factor: what is light comes closer together, but does not become one white.
        share = share ** np.clip(np.log(rng.uniform(0.6, 0.78)) / np.log(mean), 0.35, 1.0)
    else:
        haze = rng.uniform(0.15, 0.35)
        share = share * (1 - haze) + haze * rng.uniform(0.5, 0.95)
    grey = share.mean(axis=2, keepdims=True)
    share = grey + (share - grey) * rng.uniform(0.5, 1.3)
    share = share * rng.uniform(0.75, 1.15, size=3)
    y, x = pixel_grid(height, width)
    v, u = y / height - 0.5 - rng.uniform(-0.5, 0.5), x / width - 0.5 - rng.uniform(-0.5, 0.5)
    return (share * (255 / (1 + rng.uniform(0, 0.5) * (u * u + v * v)))[..., None]).astype(np.float32)


def _noisy(rng: np.random.Generator, canvas: np.ndarray) -> np.ndarray:
    # Sensor noise, and the blotches of colour that are left of it where a camera smooths it.
    canvas = canvas + rng.standard_normal(canvas.shape, dtype=np.float32) * rng.uniform(5, 12)
    height, width = canvas.shape[:2]
    blotches = [value_noise(rng, height, width, cell=rng.uniform(3, 6), octaves=2) - 0.5 for _ in range(3)]
    return canvas + np.stack(blotches, axis=2) * rng.uniform(0, 36)
