"""A small data set of pictures with markers, and what every training sample of it must be."""

from pathlib import Path

import numpy as np
import torch
from markers import draw_markers
from PIL import Image

from mbv3zoo.data.detection_set import DetectionSet
from mbv3zoo.data.records import Record

# (height, width) of the network's input.
SIZE = (96, 128)


def marked_record(path: Path, height: int, width: int, labels: list[int], seed: int = 0, **save) -> Record:
    """Draws one picture and saves it by its suffix."""
    image, boxes, labels = draw_markers(np.random.default_rng(seed), height, width, labels)
    Image.fromarray(image.permute(1, 2, 0).numpy()).save(path, **save)
    crowd = torch.zeros(len(labels), dtype=torch.bool)
    return Record(path, (height, width), boxes, labels, torch.ones(len(labels)), crowd, seed)


def marker_set(folder: Path) -> DetectionSet:
    """12 pictures of many sizes, larger and smaller than SIZE, with two markers each; one of them without any."""
    rng, records = np.random.default_rng(0), []
    for i in range(12):
        height, width = rng.integers(40, 180, 2).tolist()
        labels = [] if i == 5 else rng.choice(8, 2, replace=False).tolist()
        records.append(marked_record(folder / f'{i}.png', height, width, labels, seed=i))
    return DetectionSet(records, tuple('abcdefgh'))


def check_sample(sample, size=SIZE, channels=3):
    """Types, shapes, and boxes that lie in the picture."""
    image, boxes, labels = sample
    assert type(image) is type(boxes) is type(labels) is torch.Tensor
    assert image.shape == (channels, *size) and image.dtype == torch.uint8
    assert boxes.shape == (len(labels), 4) and boxes.dtype == torch.float32 and labels.dtype == torch.int64
    limit = torch.tensor([size[1], size[0]] * 2)
    assert (boxes >= 0).all() and (boxes <= limit).all() and (boxes[:, 2:] - boxes[:, :2] >= 2).all()


def equal(one, other):
    return all(torch.equal(a, b) for a, b in zip(one, other, strict=True))
