"""The rule for boxes that a picture's edge cuts."""

from __future__ import annotations

import torch

MIN_SIDE = 2.0  # pixels
MIN_VISIBLE = 0.1  # share of the box's area


def clip_boxes(boxes: torch.Tensor, labels: torch.Tensor, height: int, width: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Clips boxes to the canvas; drops those with a side under 2 pixels or under a tenth of their area left.

    Args:
        boxes: [N, 4] xyxy pixels, possibly beyond the canvas.
        labels: [N].
        height, width: The canvas.

    Returns:
        The kept boxes [M, 4] and their labels [M].
    """
    limit = boxes.new_tensor([width, height, width, height])
    clipped = boxes.clamp(min=0).minimum(limit)
    side = clipped[:, 2:] - clipped[:, :2]
    area = (boxes[:, 2:] - boxes[:, :2]).prod(1)
    keep = (side >= MIN_SIDE).all(1) & (side.prod(1) >= MIN_VISIBLE * area)
    return clipped[keep], labels[keep]
