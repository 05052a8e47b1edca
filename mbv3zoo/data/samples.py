"""Datasets of training and evaluation samples."""

from __future__ import annotations

from typing import Any

import torch
from torch.utils.data import Dataset
from torchvision.transforms.v2.functional import rgb_to_grayscale
from torchvision.tv_tensors import Mask

from mbv3zoo.config.training import TrainConfig
from mbv3zoo.data.augment import Augmentation
from mbv3zoo.data.detection_set import DetectionSet
from mbv3zoo.data.masks import MaskRecord, MaskSet
from mbv3zoo.data.pictures import Pictures, empty_picture, read_or_none
from mbv3zoo.data.placing import LabelledImage, scaled
from mbv3zoo.data.sampling import draw_order, image_weights
from mbv3zoo.images.letterbox import Letterbox
from mbv3zoo.images.masks import IGNORE_INDEX


class TrainSamples(Dataset):
    """Augmented training images, with boxes or with masks.

    Random numbers of a sample depend on (seed, epoch, index) only, not on the number of workers or on what was loaded
    before, so a resumed run sees the same samples as an uninterrupted one. Where `config` shows some images more often
    than others, an epoch has as many samples all the same, and which images they are is drawn anew for each.

    Args:
        data: The training set.
        image_size: (height, width) of the network's input.
        config: Augmentation, cache and seed.
        channels: 3 for RGB, 1 for grey.

    Attributes:
        parts: Indices of the images that the last sample was made of: one, or several where it is a mosaic or mixed.
    """

    def __init__(
        self, data: DetectionSet | MaskSet, image_size: tuple[int, int], config: TrainConfig, channels: int = 3
    ) -> None:
        self.records: Any = data.records
        self.channels = channels
        self.config = config
        self.parts: list[int] = []
        # Shared, so that persistent loader processes see it change.
        self._epoch = torch.tensor([0, config.epochs]).share_memory_()
        self._weights = image_weights(data, config)
        # The image of each sample of the epoch.
        self._order = torch.arange(len(data)).share_memory_()
        self.set_epoch(0)
        self.pictures = Pictures(data.records, max(image_size), config.cache)
        self.augment = Augmentation(image_size, config, len(data), self._read)

    @property
    def epoch(self) -> int:
        """The epoch whose random numbers are used."""
        return int(self._epoch[0])

    def set_epoch(self, epoch: int, epochs: int | None = None) -> None:
        """To be called before each epoch, before the loader's first batch; `epochs` says how many the run will have."""
        self._epoch[0] = epoch
        if epochs is not None:
            self._epoch[1] = epochs
        if self._weights is not None:
            self._order.copy_(draw_order(self._weights, self.config.seed * 1_000_003 + epoch))

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, index: int) -> LabelledImage:
        epoch, epochs = self._epoch.tolist()
        mix = epoch < epochs - self.config.mosaic_off_epochs
        with torch.random.fork_rng(devices=[]):
            # Not torch.manual_seed, which is slow and also seeds GPUs, whose state fork_rng does not restore here.
            seed = (self.config.seed * 1_000_003 + epoch) * 1_000_003 + index
            torch.default_generator.manual_seed(seed % 2**63)
            self.parts = []
            image, boxes, labels = self.augment(index, mix)
        if self.channels == 1:
            image = rgb_to_grayscale(image)
        return image, boxes, labels

    def _read(self, number: int) -> LabelledImage:
        index = int(self._order[number])
        self.parts.append(index)
        record, image = self.records[index], self.pictures[index]
        if isinstance(record, MaskRecord):
            return self._masked(record, image, self.pictures.size(index))
        if image is None:
            return empty_picture(3, self.pictures.size(index)), torch.zeros(0, 4), record.labels[:0]
        ratio = image.shape[1] / record.size[0], image.shape[2] / record.size[1]
        boxes = record.boxes[~record.iscrowd] * record.boxes.new_tensor(ratio[::-1]).repeat(2)
        return image, boxes, record.labels[~record.iscrowd]

    def _masked(self, record: MaskRecord, image: torch.Tensor | None, size: tuple[int, int]) -> LabelledImage:
        lost = torch.full(size, IGNORE_INDEX, dtype=torch.uint8)
        mask = Mask(lost if image is None else torch.from_numpy(record.read()))
        image = empty_picture(3, size) if image is None else image
        sample = image, mask, torch.zeros(0, dtype=torch.int64)
        return image, scaled(sample, (image.shape[1], image.shape[2]))[1], sample[2]


class EvalSamples(Dataset):
    """Letterboxed images: (uint8 [C, H, W], index)."""

    def __init__(self, data: DetectionSet | MaskSet, image_size: tuple[int, int], channels: int = 3) -> None:
        self.records: Any = data.records
        self.image_size = image_size
        self.channels = channels

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        record = self.records[index]
        image = read_or_none(record.path, self.channels, size=record.size)
        if image is None:
            return empty_picture(self.channels, self.image_size), index
        return Letterbox.fit(record.size, self.image_size).apply(image), index
