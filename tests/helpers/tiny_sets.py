"""Tiny labelled data sets, drawn on the spot."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import yaml
from PIL import Image, ImageDraw

CLASS_NAMES = ('square', 'disc')
COLOURS = ((220, 40, 30), (30, 60, 220))
DEFAULT_COUNTS = {'train': 16, 'val': 6}


def draw_scene(rng: np.random.Generator, size: tuple[int, int]) -> tuple[Image.Image, list[list[int]], list[int]]:
    """Red squares and blue discs on a pale ground: one in each of two or three quarters of the picture.

    Args:
        rng: Draws everything.
        size: (width, height) in pixels.

    Returns:
        The picture, boxes (xyxy, whole pixels) and labels.
    """
    image = Image.new('RGB', size, tuple(int(v) for v in rng.integers(180, 256, 3)))
    draw = ImageDraw.Draw(image)
    half_width, half_height = size[0] // 2, size[1] // 2
    boxes, labels = [], []
    for quarter in rng.permutation(4)[: rng.integers(2, 4)].tolist():
        side = int(rng.integers(min(size) // 5, min(size) // 2 - 2))
        left = quarter % 2 * half_width + int(rng.integers(half_width - side))
        top = quarter // 2 * half_height + int(rng.integers(half_height - side))
        label = int(rng.integers(2))
        shape = draw.rectangle if label == 0 else draw.ellipse
        shape((left, top, left + side - 1, top + side - 1), fill=COLOURS[label])
        boxes.append([left, top, left + side, top + side])
        labels.append(label)
    return image, boxes, labels


def write_yolo_set(
    root: Path, counts: Mapping[str, int] = DEFAULT_COUNTS, size: tuple[int, int] = (96, 72), seed: int = 0
) -> Path:
    """Draws a YOLO data set and returns its data.yaml."""
    rng = np.random.default_rng(seed)
    for split, count in counts.items():
        for kind in ('images', 'labels'):
            (root / kind / split).mkdir(parents=True)
        for i in range(count):
            image, boxes, labels = draw_scene(rng, size)
            image.save(root / 'images' / split / f'{i:03d}.png')
            lines = [yolo_line(label, box, size) for label, box in zip(labels, boxes, strict=True)]
            (root / 'labels' / split / f'{i:03d}.txt').write_text('\n'.join(lines))
    data = {split: f'images/{split}' for split in counts} | {'names': list(CLASS_NAMES)}
    (root / 'data.yaml').write_text(yaml.safe_dump(data))
    return root / 'data.yaml'


def write_mask_set(
    root: Path, counts: Mapping[str, int] = DEFAULT_COUNTS, size: tuple[int, int] = (96, 72), seed: int = 0
) -> Path:
    """Draws the scenes of `write_yolo_set` with masks: 0 is the ground, 1 a square, 2 a disc; returns the folder."""
    rng = np.random.default_rng(seed)
    for split, count in counts.items():
        for kind in ('images', 'masks'):
            (root / kind / split).mkdir(parents=True)
        for i in range(count):
            image = draw_scene(rng, size)[0]
            image.save(root / 'images' / split / f'{i:03d}.png')
            Image.fromarray(scene_mask(image)).save(root / 'masks' / split / f'{i:03d}.png')
    (root / 'classes.txt').write_text('\n'.join(('ground', *CLASS_NAMES)))
    return root


def scene_mask(image: Image.Image) -> np.ndarray:
    """The class of each pixel of a scene, by its colour."""
    pixels = np.asarray(image)
    return sum((label + 1) * (pixels == colour).all(-1) for label, colour in enumerate(COLOURS)).astype(np.uint8)


def yolo_line(label: int, box: list[int], size: tuple[int, int]) -> str:
    """A label line for an xyxy pixel box in a picture of (width, height)."""
    (x1, y1, x2, y2), (width, height) = box, size
    shares = ((x1 + x2) / 2 / width, (y1 + y2) / 2 / height, (x2 - x1) / width, (y2 - y1) / height)
    return f'{label} ' + ' '.join(f'{share:.7f}' for share in shares)
