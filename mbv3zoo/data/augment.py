"""Augmentation of training images: geometry, mixing, colours."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torchvision import tv_tensors
from torchvision.transforms import v2

from mbv3zoo.config.training import TrainConfig
from mbv3zoo.data.boxes import clip_boxes
from mbv3zoo.data.copy_paste import paste_objects
from mbv3zoo.data.mosaic import mosaic
from mbv3zoo.data.pictures import empty_picture
from mbv3zoo.data.placing import LabelledImage, place, scaled, uniform
from mbv3zoo.images.letterbox import PAD_VALUE, Letterbox
from mbv3zoo.images.masks import IGNORE_INDEX


class Augmentation:
    """Makes one training sample from one or several images, with torch's default generator.

    Args:
        size: (height, width) of the network's input.
        config: Probabilities and ranges.
        count: Number of images in the dataset.
        read: Returns an image by its index.
    """

    def __init__(
        self, size: tuple[int, int], config: TrainConfig, count: int, read: Callable[[int], LabelledImage]
    ) -> None:
        self.size, self.config, self.count, self.read = size, config, count, read
        # Rotation only, as resampling costs more than the scaling and shifting of `_fit`.
        fill = {tv_tensors.Image: PAD_VALUE, tv_tensors.Mask: IGNORE_INDEX}
        self.rotate = v2.RandomRotation(config.degrees, v2.InterpolationMode.BILINEAR, fill=fill)
        self.flip = v2.RandomHorizontalFlip(config.flip)
        jitter = v2.ColorJitter(config.brightness, config.contrast, config.saturation, config.hue)
        self.camera = v2.Compose(
            [
                v2.RandomApply([jitter], config.color),
                v2.RandomGrayscale(config.gray),
                v2.RandomApply([v2.GaussianBlur(5, (0.3, 2.0))], config.blur),
                v2.RandomApply([v2.GaussianNoise(sigma=0.04)], config.noise),
            ]
        )

    def __call__(self, index: int, mix: bool) -> LabelledImage:
        """Makes a sample.

        Args:
            index: The image to start from.
            mix: Whether mosaic, mixup and copy-paste may be applied.

        Returns:
            uint8 [3, height, width]; boxes [N, 4] xyxy pixels inside it, or a mask uint8 [height, width]; labels [N].
        """
        sample = self._compose(index, mix)
        if mix and not isinstance(sample[1], tv_tensors.Mask) and torch.rand(()) < self.config.mixup:
            sample = mixup(sample, self._compose(self._other(), mix))
        image, boxes, labels = sample
        if isinstance(boxes, tv_tensors.Mask):
            return self.camera(image), boxes, labels
        return (self.camera(image), *clip_boxes(boxes, labels, *self.size))

    def _compose(self, index: int, mix: bool) -> LabelledImage:
        if mix and torch.rand(()) < self.config.mosaic:
            pictures = [self._image(i, mix) for i in (index, self._other(), self._other(), self._other())]
            image, boxes, labels = mosaic(pictures, self.size, self.config.scale)
        else:
            image, boxes, labels = self._fit(self._image(index, mix))
        boxed: Any = boxes
        if not isinstance(boxes, tv_tensors.Mask):
            boxed = tv_tensors.BoundingBoxes(boxes, format='XYXY', canvas_size=self.size, clamping_mode=None)
        image, boxed = self.flip(tv_tensors.Image(image), boxed)
        if self.config.degrees:
            image, boxed = self.rotate(image, boxed)
        boxed = boxed if isinstance(boxed, tv_tensors.Mask) else boxed.as_subclass(torch.Tensor)
        return image.as_subclass(torch.Tensor), boxed, labels

    def _image(self, index: int, mix: bool) -> LabelledImage:
        image = self.read(index)
        # Without it nothing is drawn, so that samples are those that they were before it existed.
        if mix and self.config.copy_paste and torch.rand(()) < self.config.copy_paste:
            return paste_objects(image, self.read(self._other()))
        return image

    def _other(self) -> int:
        return int(torch.randint(self.count, ()))

    def _fit(self, sample: LabelledImage) -> LabelledImage:
        """One image on the canvas: fitted, scaled, and placed at random with maximal overlap, then translated."""
        channels, height, width = sample[0].shape
        letterbox, scale = Letterbox.fit((height, width), self.size), self.config.scale
        factor = uniform(1 - scale, 1 + scale) if scale else 1.0
        new_height, new_width = (max(1, round(side * factor)) for side in letterbox.resized)
        corner = []
        for side, new in zip(self.size, (new_height, new_width), strict=True):
            free = side - new
            start = int(torch.randint(min(free, 0), max(free, 0) + 1, ())) if scale else free // 2
            corner.append(start + round(uniform(-1, 1) * self.config.translate * side))
        canvas = empty_picture(channels, self.size)
        boxes = place(canvas, scaled(sample, (new_height, new_width)), *corner)
        return canvas, boxes, sample[2]


def mixup(first: LabelledImage, second: LabelledImage) -> LabelledImage:
    """The mean of two images, with the boxes of both (Zhang et al., "Bag of Freebies", arXiv 1902.04103, 3.1).

    Args:
        first, second: uint8 [C, H, W] of one size, boxes [N, 4], labels [N].
    """
    image = (first[0].to(torch.int16) + second[0]).div(2, rounding_mode='floor').to(torch.uint8)
    return image, torch.cat([first[1], second[1]]), torch.cat([first[2], second[2]])
