"""Places images and their boxes on a canvas."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torchvision.transforms.v2.functional import resize
from torchvision.tv_tensors import Mask

from mbv3zoo.images.masks import IGNORE_INDEX

# An image, uint8 [C, H, W]; its boxes, float32 [N, 4] xyxy pixels, or its mask, a `Mask` uint8 [H, W]; the labels of
# boxes, int64 [N].
LabelledImage = tuple[torch.Tensor, torch.Tensor, torch.Tensor]


def scaled(sample: LabelledImage, size: tuple[int, int]) -> LabelledImage:
    """Resizes an image to (height, width) with its boxes or mask."""
    image, boxes, labels = sample
    if isinstance(boxes, Mask):
        return resize(image, list(size), antialias=True), resize(boxes, list(size)), labels
    ratio = boxes.new_tensor([size[1] / image.shape[2], size[0] / image.shape[1]]).repeat(2)
    # Image files decode to [H, W, C] in memory, which resizes three times faster than [C, H, W].
    return resize(image, list(size), antialias=True), boxes * ratio, labels


def place(canvas: torch.Tensor, sample: LabelledImage, top: int, left: int) -> torch.Tensor:
    """Copies an image onto a canvas, in place, with its corner at (top, left), which may be outside; the rest is cut.

    Returns:
        The image's boxes on the canvas [N, 4], not clipped; or a mask of the canvas, 255 where the image is not.
    """
    image, boxes, _ = sample
    y, x = max(top, 0), max(left, 0)
    bottom = max(min(top + image.shape[1], canvas.shape[1]), y)
    right = max(min(left + image.shape[2], canvas.shape[2]), x)
    inside = slice(y - top, bottom - top), slice(x - left, right - left)
    canvas[:, y:bottom, x:right] = image[:, *inside]
    if isinstance(boxes, Mask):
        mask = boxes.new_full(canvas.shape[1:], IGNORE_INDEX)
        mask[y:bottom, x:right] = boxes[inside]
        return Mask(mask)
    return boxes + boxes.new_tensor([left, top, left, top])


def joined(parts: Sequence[torch.Tensor]) -> torch.Tensor:
    """The boxes of several images on one canvas; or their masks, which do not overlap."""
    return torch.cat(list(parts)) if not isinstance(parts[0], Mask) else Mask(torch.stack(list(parts)).amin(0))


def uniform(low: float, high: float) -> float:
    """A uniform random number, from torch's default generator."""
    return low + (high - low) * torch.rand(()).item()
