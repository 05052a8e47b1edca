"""Thresholding and non-maximum suppression: decoded boxes -> the detections of each picture."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torchvision.ops import batched_nms


class Kept(NamedTuple):
    """What is kept of one picture, best first: boxes [N, 4] xyxy pixels, scores [N] in 0..1, labels [N] int64."""

    boxes: torch.Tensor
    scores: torch.Tensor
    labels: torch.Tensor


def postprocess(
    boxes: torch.Tensor,
    scores: torch.Tensor,
    *,
    score_thresh: float = 0.25,
    iou_thresh: float = 0.45,
    max_detections: int = 300,
    max_candidates: int = 30_000,
    multi_label: bool = False,
    class_agnostic: bool = False,
) -> list[Kept]:
    """Threshold, then class-wise greedy non-maximum suppression.

    Args:
        boxes: [B, N, 4] xyxy pixels.
        scores: [B, N, K] in 0..1.
        score_thresh: Only scores above it are kept.
        iou_thresh: Of two boxes of one class that overlap more than this, the better is kept.
        max_detections: At most so many a picture.
        max_candidates: At most so many of a picture, the best, enter the suppression.
        multi_label: Whether one box may be reported under several classes (as evaluation wants it), or its best only.
        class_agnostic: Whether boxes of different classes suppress one another.

    Returns:
        One `Kept` a picture.
    """
    kept = []
    for image_boxes, image_scores in zip(boxes, scores, strict=True):
        if multi_label:
            index, labels = (image_scores > score_thresh).nonzero(as_tuple=True)
            best = image_scores[index, labels]
        else:
            best, labels = image_scores.max(1)
            index = (best > score_thresh).nonzero(as_tuple=True)[0]
            best, labels = best[index], labels[index]
        if len(best) > max_candidates:
            best, order = best.topk(max_candidates)
            index, labels = index[order], labels[order]
        candidates = image_boxes[index]
        groups = torch.zeros_like(labels) if class_agnostic else labels
        # torchvision keeps classes apart by moving them past the largest coordinate, which is enough only above 0.
        corner = candidates.float().flatten().min() if len(candidates) else 0.0
        keep = batched_nms(candidates.float() - corner, best.float(), groups, iou_thresh)[:max_detections]
        kept.append(Kept(candidates[keep], best[keep], labels[keep]))
    return kept
