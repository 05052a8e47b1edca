"""Places images and their boxes on a canvas."""

from __future__ import annotations

import torch
from torchvision.transforms.v2.functional import resize

# An image, uint8 [C, H, W]; its boxes, float32 [N, 4] xyxy pixels; their labels, int64 [N].
LabelledImage = tuple[torch.Tensor, torch.Tensor, torch.Tensor]


def scaled(sample: LabelledImage, size: tuple[int, int]) -> LabelledImage:
    """Resizes an image to (height, width) with its boxes."""
    image, boxes, labels = sample
    ratio = boxes.new_tensor([size[1] / image.shape[2], size[0] / image.shape[1]]).repeat(2)
    # Image files decode to [H, W, C] in memory, which resizes three times faster than [C, H, W].
    return resize(image, list(size), antialias=True), boxes * ratio, labels


def place(canvas: torch.Tensor, sample: LabelledImage, top: int, left: int) -> torch.Tensor:
    """Copies an image onto a canvas, in place, with its corner at (top, left), which may be outside; the rest is cut.

    Returns:
        The image's boxes on the canvas [N, 4], not clipped.
    """
    image, boxes, _ = sample
    y, x = max(top, 0), max(left, 0)
    bottom = max(min(top + image.shape[1], canvas.shape[1]), y)
    right = max(min(left + image.shape[2], canvas.shape[2]), x)
    canvas[:, y:bottom, x:right] = image[:, y - top : bottom - top, x - left : right - left]
    return boxes + boxes.new_tensor([left, top, left, top])


def uniform(low: float, high: float) -> float:
    """A uniform random number, from torch's default generator."""
    return low + (high - low) * torch.rand(()).item()
