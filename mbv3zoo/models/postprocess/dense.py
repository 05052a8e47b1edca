"""Decodes every cell of every level: what exported graphs with NMS inside do, and what comparisons need."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from mbv3zoo.models.postprocess.decoding import decode_boxes


def cell_grid(height: int, width: int, device: torch.device, dtype: torch.dtype) -> torch.Tensor:
    """Column and row of every cell: [H, W, 2] (x, y)."""
    y, x = torch.meshgrid(
        torch.arange(height, device=device, dtype=dtype),
        torch.arange(width, device=device, dtype=dtype),
        indexing='ij',
    )
    return torch.stack([x, y], -1)


def decode(
    logits: Sequence[torch.Tensor], anchors: torch.Tensor, strides: Sequence[int]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Decodes all levels.

    Args:
        logits: One tensor per level, [B, A, H, W, 5 + K].
        anchors: [levels, A, 2], (width, height) in pixels of the network's input.
        strides: Stride of each level, in input pixels per cell.

    Returns:
        boxes: [B, N, 4] xyxy in pixels of the network's input, N being all anchors of all cells; see `decode_boxes`.
        scores: [B, N, K] in 0..1, objectness * class.
    """
    boxes, scores = [], []
    for level, stride, level_anchors in zip(logits, strides, anchors, strict=True):
        batch, num_anchors, height, width, _ = level.shape
        probability = level.sigmoid()
        grid = cell_grid(height, width, level.device, level.dtype)
        own = decode_boxes(probability[..., :4], grid, level_anchors.view(num_anchors, 1, 1, 2), stride)
        boxes.append(own.flatten(1, 3))
        scores.append((probability[..., 4:5] * probability[..., 5:]).flatten(1, 3))
    return torch.cat(boxes, 1), torch.cat(scores, 1)
