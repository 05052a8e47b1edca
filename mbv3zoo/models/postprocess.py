"""Thresholding and non-maximum suppression: decoded boxes -> the detections of each picture."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torchvision.ops import nms

# Pixels between the boxes of one class and the next, at least.
_CLASS_OFFSET = 7680
# Up to so many boxes are suppressed in one call.
_FEW = 2000


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
        # The plain sort, as in YOLOv5: which of two equal scores stands first is not promised.
        order = best.argsort(descending=True)[:max_candidates]
        candidates, best, labels = image_boxes[index[order]], best[order], labels[order]
        keep = _suppress(candidates.float(), best.float(), labels, iou_thresh, class_agnostic)[:max_detections]
        kept.append(Kept(candidates[keep], best[keep], labels[keep]))
    return kept


def _suppress(
    boxes: torch.Tensor, scores: torch.Tensor, labels: torch.Tensor, iou_thresh: float, class_agnostic: bool
) -> torch.Tensor:
    """Indices of the boxes [N, 4] that stay, ascending; the best come first.

    YOLOv5 moves the boxes of each class by 7,680 pixels more than those of the one before. That rounds the boxes of
    the last of 80 classes to a sixteenth of a pixel, and which of two boxes is suppressed hangs on it: torchvision's
    `batched_nms`, which keeps classes apart in another way, would keep others.
    """
    if class_agnostic or not len(boxes):
        return nms(boxes, scores, iou_thresh)
    # Boxes may be larger where the picture is.
    offset = (boxes.max() - boxes.min()).clamp(min=_CLASS_OFFSET)
    boxes = boxes + labels[:, None] * offset
    if len(boxes) <= _FEW:
        return nms(boxes, scores, iou_thresh)
    # The time grows with the square of the number: one class at a time is faster and keeps the same.
    stays = torch.zeros_like(labels, dtype=torch.bool)
    for label in labels.unique():
        own = (labels == label).nonzero(as_tuple=True)[0]
        stays[own[nms(boxes[own], scores[own], iou_thresh)]] = True
    return stays.nonzero(as_tuple=True)[0]
