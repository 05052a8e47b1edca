"""Mosaic: four images around one point (Bochkovskiy et al., "YOLOv4", arXiv 2004.10934, section 3.3)."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from mbv3zoo.data.pictures import empty_picture
from mbv3zoo.data.placing import LabelledImage, joined, place, scaled, uniform


def mosaic(images: Sequence[LabelledImage], size: tuple[int, int], scale: float) -> LabelledImage:
    """Places four randomly scaled images around a random point of the canvas, each with a corner at it.

    Args:
        images: Four tuples (uint8 [C, H, W], boxes [N, 4] xyxy pixels, labels [N]).
        size: (height, width) of the canvas.
        scale: Each image is fitted to the canvas, then scaled by a factor drawn from 1 - scale .. 1 + scale.

    Returns:
        Canvas uint8 [C, height, width], boxes [M, 4] (not clipped) or mask, labels [M].
    """
    height, width = size
    canvas = empty_picture(images[0][0].shape[0], size)
    # In the middle half, so that each image is visible.
    center_y, center_x = int(uniform(0.25, 0.75) * height), int(uniform(0.25, 0.75) * width)
    all_boxes = []
    for corner, sample in enumerate(images):
        old_height, old_width = sample[0].shape[1:]
        factor = min(height / old_height, width / old_width) * uniform(1 - scale, 1 + scale)
        new_height, new_width = max(round(old_height * factor), 1), max(round(old_width * factor), 1)
        top = center_y - new_height if corner < 2 else center_y
        left = center_x - new_width if corner % 2 == 0 else center_x
        all_boxes.append(place(canvas, scaled(sample, (new_height, new_width)), top, left))
    return canvas, joined(all_boxes), torch.cat([labels for _, _, labels in images])
