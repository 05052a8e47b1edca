"""Decoding: raw logits -> boxes in pixels and scores (YOLOv5 v6.0)."""

from __future__ import annotations

from collections.abc import Sequence

import torch


def cell_grid(height: int, width: int, device: torch.device, dtype: torch.dtype) -> torch.Tensor:
    """Column and row of every cell: [H, W, 2] (x, y)."""
    y, x = torch.meshgrid(
        torch.arange(height, device=device, dtype=dtype),
        torch.arange(width, device=device, dtype=dtype),
        indexing='ij',
    )
    return torch.stack([x, y], -1)


def decode_boxes(
    probability: torch.Tensor, cells: torch.Tensor, anchors: torch.Tensor, stride: torch.Tensor | int
) -> torch.Tensor:
    """Boxes of cells; see `decode`.

    Args:
        probability: [..., 4], the sigmoid of tx, ty, tw, th.
        cells: [..., 2], column and row.
        anchors: [..., 2], (width, height) in pixels.
        stride: Pixels a cell.

    Returns:
        [..., 4] xyxy pixels.
    """
    # Summed in this order, the boxes are YOLOv5's to the last bit.
    center = (probability[..., 0:2] * 2 + (cells - 0.5)) * stride
    half = (probability[..., 2:4] * 2) ** 2 * anchors / 2
    return torch.cat([center - half, center + half], -1)


def decode(
    logits: Sequence[torch.Tensor], anchors: torch.Tensor, strides: Sequence[int]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Decodes all levels.

    With s = sigmoid(logit), cell (cx, cy), stride d, anchor (aw, ah): centre x = (2 sx - 0.5 + cx) d and y likewise,
    width = (2 sw)^2 aw and height likewise, score = objectness * class.

    Args:
        logits: One tensor a level, [B, A, H, W, 5 + K].
        anchors: [levels, A, 2], (width, height) in pixels of the network's input.
        strides: Pixels a cell of each level.

    Returns:
        boxes: [B, N, 4] xyxy in pixels of the network's input, N being all anchors of all cells.
        scores: [B, N, K] in 0..1.
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
