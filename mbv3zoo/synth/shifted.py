"""Scenes of the shift split: the same objects, other light and a worse camera."""

import numpy as np
from PIL import Image, ImageFilter

from mbv3zoo.synth.config import MIN_VISIBLE_SHARE, SyntheticConfig
from mbv3zoo.synth.scene import Layout, Objects, Scene, arrange, recognisable, to_scene
from mbv3zoo.synth.shifted_backgrounds import ShiftedBackgrounds
from mbv3zoo.synth.textures import value_noise
from mbv3zoo.synth.warp import bent_view, pixel_grid, sample

# Range of JPEG quality (the second is excluded), below that of training.
SHIFTED_QUALITY = (20, 50)


def compose_shifted(rng: np.random.Generator, config: SyntheticConfig, objects: Objects) -> Scene:
    """Draw a scene on a background that training never sees, with lens distortion and a poor camera.

    Masks are distorted with the image; boxes are the tight bounds of the distorted masks. Backgrounds are always
    drawn, even if ``config.backgrounds`` is a folder, as the model is trained on that.
    """
    layout = _bend(rng, arrange(rng, config, objects, ShiftedBackgrounds()))
    return to_scene(_photograph(rng, layout.canvas), layout)


def _bend(rng: np.random.Generator, layout: Layout) -> Layout:
    height, width = layout.canvas.shape[:2]
    tilt, bulge = rng.uniform(-0.1, 0.1, size=2), rng.uniform(-0.06, 0.12)
    # A narrower view may cut an object off: then distort less, finally not at all.
    for strength in (1.0, 0.5, 0.25, 0.0):
        y, x = bent_view(height, width, tuple(tilt * strength), bulge * strength)
        # Masks are disjoint, so of two interpolated masks at most one is above a half.
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
    # The mean along a line, by repeated halving: the mean of two shifted copies, each the mean of two, and so on.
    # It is symmetric, so an object stays in the middle of its box.
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
        # A dark scene is not made darker, as its objects would become invisible.
        share = share * min(rng.uniform(0.2, 0.32) / mean, 1)
    elif exposure == 1:
        # A gamma curve, not a factor: bright tones come closer but do not clip.
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
    # Sensor noise, and the blotches of colour that a camera's noise reduction leaves.
    canvas = canvas + rng.standard_normal(canvas.shape, dtype=np.float32) * rng.uniform(5, 12)
    height, width = canvas.shape[:2]
    blotches = [value_noise(rng, height, width, cell=rng.uniform(3, 6), octaves=2) - 0.5 for _ in range(3)]
    return canvas + np.stack(blotches, axis=2) * rng.uniform(0, 36)
