"""Objects cut out of photographs: one folder of transparent PNGs per class."""

from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image

from mbv3zoo.synth.pictures import read_picture
from mbv3zoo.synth.sprites import Sprite

_EXPECTED = 'expected one folder a class, each with PNG files that have a transparent background'


class CutoutFolder:
    """The cut-outs in a folder; the sorted names of its subfolders are the classes.

    Args:
        folder: folder of class folders, each with transparent PNGs.
        largest_side: in pixels; larger cut-outs are downscaled to it in memory.

    Raises:
        ValueError: no such folder, no class folder, a class without PNGs, or a PNG that is unreadable,
            without transparency, or fully transparent. The message names the path.
    """

    def __init__(self, folder: Path, largest_side: int) -> None:
        if not folder.is_dir():
            raise ValueError(f'objects {str(folder)!r} is no folder; {_EXPECTED}')
        classes = sorted(p for p in folder.iterdir() if p.is_dir() and not p.name.startswith('.'))
        if not classes:
            raise ValueError(f'no class folder in objects {str(folder)!r}; {_EXPECTED}')
        self.largest_side = largest_side
        self.class_names = tuple(p.name for p in classes)
        self.paths = [
            sorted(p for p in path.iterdir() if p.suffix.lower() == '.png' and not p.name.startswith('.'))
            for path in classes
        ]
        for path, files in zip(classes, self.paths, strict=True):
            if not files:
                raise ValueError(f'no PNG in class folder {str(path)!r}; {_EXPECTED}')
            for file in files:
                _read(file)

    def sprite(self, rng: np.random.Generator, label: int, size: float) -> Sprite:
        """A random cut-out of class ``label``, rotated, with its longest side ``size`` pixels."""
        files = self.paths[label]
        image = _cached(files[rng.integers(len(files))], self.largest_side).copy()
        if rng.random() < 0.5:
            image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        angle = rng.uniform(0, 360)
        # Twice the final size gives smooth edges, and makes rotating a large photograph cheap.
        image.thumbnail((size * 2, size * 2), Image.Resampling.BILINEAR)
        image = image.rotate(angle, Image.Resampling.BICUBIC, expand=True)
        image = image.crop(_solid_box(image))
        scale = size / max(image.size)
        image = image.resize([max(round(side * scale), 1) for side in image.size], Image.Resampling.BILINEAR)
        pixels = np.asarray(image, dtype=np.float32)
        gain = rng.uniform(0.85, 1.15) * rng.uniform(0.93, 1.07, size=3)
        return Sprite(np.clip(pixels[..., :3] * gain, 0, 255).astype(np.float32), pixels[..., 3] / 255)


def _solid_box(image: Image.Image) -> tuple[int, int, int, int] | None:
    return image.getchannel('A').point(lambda value: 255 * (value > 127)).getbbox()


def _read(path: Path) -> Image.Image:
    image = read_picture(path, 'RGBA')
    if not any(image.getchannel('A').histogram()[:128]):
        raise ValueError(f'{str(path)!r} has no transparency; {_EXPECTED}')
    box = _solid_box(image)
    if box is None:
        raise ValueError(f'{str(path)!r} is transparent everywhere; {_EXPECTED}')
    return image.crop(box)


@lru_cache(maxsize=128)
def _cached(path: Path, largest_side: int) -> Image.Image:
    image = _read(path)
    image.thumbnail((largest_side, largest_side), Image.Resampling.BILINEAR)
    return image
