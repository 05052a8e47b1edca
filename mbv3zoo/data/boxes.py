"""Boxes clipped to the image, and images scaled to a size."""

from __future__ import annotations

import torch

MIN_SIDE = 2.0  # pixels
MIN_VISIBLE = 0.1  # fraction of the box's area


def clip_boxes(boxes: torch.Tensor, labels: torch.Tensor, height: int, width: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Clips boxes to the canvas; drops those left with a side under 2 pixels or less than a tenth of their area.

    Args:
        boxes: [N, 4] xyxy pixels, possibly beyond the canvas.
        labels: [N].
        height, width: The canvas.

    Returns:
        Boxes [M, 4] and labels [M] that are kept.
    """
    limit = boxes.new_tensor([width, height, width, height])
    clipped = boxes.clamp(min=0).minimum(limit)
    side = clipped[:, 2:] - clipped[:, :2]
    area = (boxes[:, 2:] - boxes[:, :2]).prod(1)
    keep = (side >= MIN_SIDE).all(1) & (side.prod(1) >= MIN_VISIBLE * area)
    return clipped[keep], labels[keep]


def fitting_scales(sizes: torch.Tensor, target_hw: tuple[int, int]) -> torch.Tensor:
    """The `scale` of `Letterbox.fit` for many images.

    Args:
        sizes: int64 [N, 2], (height, width) of each in pixels.
        target_hw: (height, width) of the letterbox in pixels.

    Returns:
        float64 [N].
    """
    return (sizes.new_tensor(target_hw).double() / sizes).amin(1)
