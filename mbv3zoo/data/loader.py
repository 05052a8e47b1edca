"""Records -> training samples and batches."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import NamedTuple

import torch
from torch.utils.data import DataLoader, Dataset
from torchvision import tv_tensors
from torchvision.transforms import v2
from torchvision.transforms.v2.functional import rgb_to_grayscale

from mbv3zoo.config import TrainConfig
from mbv3zoo.data.boxes import clip_boxes
from mbv3zoo.data.letterbox import PAD_VALUE, Letterbox
from mbv3zoo.data.mosaic import LabelledImage, mosaic
from mbv3zoo.data.records import DetectionSet
from mbv3zoo.images import read_image


class Targets(NamedTuple):
    """The labels of a batch: image_index int64 [N], labels int64 [N], boxes float32 [N, 4] xyxy pixels of the input."""

    image_index: torch.Tensor
    labels: torch.Tensor
    boxes: torch.Tensor


class TrainSamples(Dataset):
    """Augmented training pictures.

    What is drawn for a sample depends on (seed, epoch, index) only: not on the number of workers, nor on what was
    loaded before, so that a resumed run sees what the uninterrupted one would have.

    Args:
        data: The training set.
        image_size: (height, width) of the network's input.
        config: Augmentation and seed.
        channels: 3 for RGB, 1 for grey.
    """

    def __init__(self, data: DetectionSet, image_size: tuple[int, int], config: TrainConfig, channels: int = 3) -> None:
        self.records = data.records
        self.image_size = image_size
        self.channels = channels
        self.config = config
        self.epoch = 0
        jitter = v2.ColorJitter(config.brightness, 0, config.saturation, config.hue)
        self.color = v2.RandomApply([jitter], config.color)
        self.flip = v2.RandomHorizontalFlip(config.flip)
        self.affine = v2.RandomAffine(
            config.degrees,
            (config.translate, config.translate),
            (1 - config.scale, 1 + config.scale),
            interpolation=v2.InterpolationMode.BILINEAR,
            fill=PAD_VALUE,
        )

    def set_epoch(self, epoch: int) -> None:
        """To be called before each epoch."""
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, index: int) -> LabelledImage:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed((self.config.seed * 1_000_003 + self.epoch) * 1_000_003 + index)
            image, boxes, labels = self._compose(index)
            image, boxes = self._augment(image, boxes)
            if self.channels == 1:
                image = rgb_to_grayscale(image)
            return (image, *clip_boxes(boxes, labels, *self.image_size))

    def _compose(self, index: int) -> LabelledImage:
        late = self.epoch >= self.config.epochs - self.config.mosaic_off_epochs
        if not late and torch.rand(()) < self.config.mosaic:
            others = torch.randint(len(self.records), (3,)).tolist()
            return mosaic([self._read(i) for i in (index, *others)], self.image_size, self.config.scale)
        image, boxes, labels = self._read(index)
        letterbox = Letterbox.fit(tuple(image.shape[1:]), self.image_size)
        image, boxes = letterbox.apply(image), letterbox.boxes_to_letterbox(boxes)
        boxed = tv_tensors.BoundingBoxes(boxes, format='XYXY', canvas_size=self.image_size, clamping_mode=None)
        image, boxed = self.affine(image, boxed)
        return image, boxed.as_subclass(torch.Tensor), labels

    def _augment(self, image: torch.Tensor, boxes: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        boxed = tv_tensors.BoundingBoxes(boxes, format='XYXY', canvas_size=self.image_size, clamping_mode=None)
        image, boxed = self.flip(self.color(tv_tensors.Image(image)), boxed)
        return image.as_subclass(torch.Tensor), boxed.as_subclass(torch.Tensor)

    def _read(self, index: int) -> LabelledImage:
        record = self.records[index]
        image = read_or_none(record.path)
        if image is None:
            return torch.full((3, *record.size), PAD_VALUE, dtype=torch.uint8), torch.zeros(0, 4), record.labels[:0]
        return image, record.boxes[~record.iscrowd], record.labels[~record.iscrowd]


class EvalSamples(Dataset):
    """Letterboxed pictures: (uint8 [C, H, W], index)."""

    def __init__(self, data: DetectionSet, image_size: tuple[int, int], channels: int = 3) -> None:
        self.records = data.records
        self.image_size = image_size
        self.channels = channels

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        record = self.records[index]
        image = read_or_none(record.path, self.channels)
        if image is None:
            return torch.full((self.channels, *self.image_size), PAD_VALUE, dtype=torch.uint8), index
        return Letterbox.fit(record.size, self.image_size).apply(image), index


def read_or_none(path: Path, channels: int = 3) -> torch.Tensor | None:
    """A picture as uint8 [channels, H, W]; None, and a warning that names it, where it cannot be decoded.

    Headers were read when the set was loaded, so such a file is damaged further in. One bad picture of thousands
    should not end a night's training.
    """
    try:
        return torch.from_numpy(read_image(path, channels)).permute(2, 0, 1)
    except ValueError as error:
        warnings.warn(f'{error}; taken as an empty picture', stacklevel=2)
        return None


def collate(samples: list[LabelledImage]) -> tuple[torch.Tensor, Targets]:
    """Samples -> images uint8 [B, C, H, W] and their targets."""
    images, boxes, labels = zip(*samples, strict=True)
    counts = torch.tensor([len(b) for b in boxes])
    index = torch.arange(len(samples)).repeat_interleave(counts)
    return torch.stack(images), Targets(index, torch.cat(labels), torch.cat(boxes))


def train_loader(samples: TrainSamples, config: TrainConfig) -> DataLoader:
    """Shuffled batches of `(images, Targets)`; the last one may be smaller."""
    return DataLoader(
        samples,
        config.batch_size,
        shuffle=True,
        num_workers=config.workers,
        collate_fn=collate,
        pin_memory=torch.cuda.is_available(),
    )
