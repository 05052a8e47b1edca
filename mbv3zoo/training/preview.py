"""Training images as they are trained on, drawn into one picture: a look at labels and augmentation."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count
from pathlib import Path

import torch

from mbv3zoo.data.loader import collate
from mbv3zoo.data.samples import TrainSamples

PREVIEW_NAME = 'train_batch.png'
_COUNT = 16


def preview_file(path: str | Path) -> Path:
    """The file that a preview is written to: nothing that exists is overwritten.

    Args:
        path: A PNG file, whose name gets a number where it is taken (batch.png -> batch-2.png); or a folder, for a
            `train_batch.png` in it.

    Raises:
        ValueError: The file has another suffix than .png.
    """
    path = Path(path)
    if path.is_dir():
        path /= PREVIEW_NAME
    if path.suffix.lower() != '.png':
        raise ValueError(f'{path}: a preview is a PNG file; choose a name that ends in .png')
    if not path.exists():
        return path
    return next(free for number in count(2) if not (free := path.with_stem(f'{path.stem}-{number}')).exists())


def draw_preview(samples: TrainSamples, class_names: Sequence[str], path: Path) -> None:
    """Draws up to 16 images as they are trained on, with their boxes and the names of their files.

    Which ones is drawn at random with the seed of the samples' settings: the same seed draws the same picture.

    Args:
        samples: The training images.
        class_names: One per class.
        path: The PNG file to write; its folder is made.
    """
    from mbv3zoo.plots.pictures import plot_batch

    seed = samples.config.seed
    order = torch.randperm(len(samples), generator=torch.Generator().manual_seed(seed % 2**63))
    chosen, names = [], []
    for index in sorted(order[:_COUNT].tolist()):
        chosen.append(samples[index])
        names.append([samples.records[part].path.name for part in dict.fromkeys(samples.parts)])
    images, targets = collate(chosen)
    height, width = images.shape[2:]
    title = f'{len(images)} of {len(samples)} training pictures, drawn with seed {seed}, {width} x {height} pixels'
    path.parent.mkdir(parents=True, exist_ok=True)
    plot_batch(images, targets, class_names, path, title=title, names=names)
