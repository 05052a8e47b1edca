"""Mosaic: four pictures around one point (Bochkovskiy et al., "YOLOv4", arXiv 2004.10934, section 3.3)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torchvision.transforms.v2.functional import resize

from mbv3zoo.data.letterbox import PAD_VALUE

LabelledImage = tuple[torch.Tensor, torch.Tensor, torch.Tensor]


def mosaic(images: Sequence[LabelledImage], size: tuple[int, int], scale: float) -> LabelledImage:
    """Sets four pictures around a random point of the canvas, each with a corner at it, each randomly scaled.

    Args:
        images: Four of (uint8 [C, H, W], boxes [N, 4] xyxy pixels, labels [N]).
        size: (height, width) of the canvas.
        scale: Each picture is fitted to the canvas and then scaled by a factor drawn from 1 - scale .. 1 + scale.

    Returns:
        Canvas uint8 [C, height, width], boxes [M, 4] (not clipped), labels [M].
    """
    height, width = size
    canvas = torch.full((images[0][0].shape[0], height, width), PAD_VALUE, dtype=torch.uint8)
    # The point stays in the middle half, so that each picture shows.
    center_y = int((0.25 + 0.5 * torch.rand(())) * height)
    center_x = int((0.25 + 0.5 * torch.rand(())) * width)
    all_boxes, all_labels = [], []
    for corner, (image, boxes, labels) in enumerate(images):
        factor = min(height / image.shape[1], width / image.shape[2]) * (1 - scale + 2 * scale * torch.rand(()).item())
        new = [max(round(side * factor), 1) for side in image.shape[1:]]
        ratio = boxes.new_tensor([new[1] / image.shape[2], new[0] / image.shape[1]]).repeat(2)
        image = resize(image, new, antialias=True)
        top = center_y - new[0] if corner < 2 else center_y
        left = center_x - new[1] if corner % 2 == 0 else center_x
        _paste(canvas, image, top, left)
        all_boxes.append(boxes * ratio + boxes.new_tensor([left, top, left, top]))
        all_labels.append(labels)
    return canvas, torch.cat(all_boxes), torch.cat(all_labels)


def _paste(canvas: torch.Tensor, image: torch.Tensor, top: int, left: int) -> None:
    bottom, right = min(top + image.shape[1], canvas.shape[1]), min(left + image.shape[2], canvas.shape[2])
    y, x = max(top, 0), max(left, 0)
    canvas[:, y:bottom, x:right] = image[:, y - top : bottom - top, x - left : right - left]
