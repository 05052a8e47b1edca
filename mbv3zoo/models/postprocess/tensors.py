"""Thresholding and non-maximum suppression: decoded boxes -> the detections of each picture."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torchvision.ops import nms

from mbv3zoo.models.postprocess.dense import decode_boxes

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
        index, best, labels = _choose(image_scores, score_thresh, max_candidates, multi_label)
        kept.append(_keep(image_boxes[index], best, labels, iou_thresh, class_agnostic, max_detections))
    return kept


def postprocess_logits(
    logits: Sequence[torch.Tensor],
    anchors: torch.Tensor,
    strides: Sequence[int],
    *,
    score_thresh: float = 0.25,
    iou_thresh: float = 0.45,
    max_detections: int = 300,
    max_candidates: int = 30_000,
    multi_label: bool = False,
    class_agnostic: bool = False,
) -> list[Kept]:
    """As `decode`, then `postprocess`; but cells that cannot pass the threshold are left out first.

    A score is the product of two probabilities and so never above the objectness: its logit alone drops nearly all
    cells, unseen.

    Args:
        logits: One tensor a level, [B, A, H, W, 5 + K]; halves are reckoned in full precision.
        anchors: [levels, A, 2], (width, height) in pixels of the network's input.
        strides: Pixels a cell of each level.
        score_thresh, iou_thresh, max_detections, max_candidates, multi_label, class_agnostic: As for `postprocess`.

    Returns:
        One `Kept` a picture, boxes in pixels of the network's input.
    """
    least = _least_logit(score_thresh)
    kept = []
    for picture in range(len(logits[0])):
        levels = [
            _live_cells(level[picture], level_anchors, stride, least)
            for level, level_anchors, stride in zip(logits, anchors, strides, strict=True)
        ]
        rows, cells, sizes, steps = (torch.cat(parts) for parts in zip(*levels, strict=True))
        probability = rows.sigmoid()
        scores = probability[:, 4:5] * probability[:, 5:]
        index, best, labels = _choose(scores, score_thresh, max_candidates, multi_label)
        boxes = decode_boxes(probability[index, :4], cells[index], sizes[index], steps[index])
        kept.append(_keep(boxes, best, labels, iou_thresh, class_agnostic, max_detections))
    return kept


def _live_cells(
    level: torch.Tensor, anchors: torch.Tensor, stride: int, least: float
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Of one picture's level [A, H, W, 5 + K]: logits [N, 5 + K], cells and anchors [N, 2] and strides [N, 1]."""
    # Not `>`: compared with halves, the threshold is rounded to one, which may be the first that passes.
    anchor, y, x = (level[..., 4] >= least).nonzero(as_tuple=True)
    rows = level[anchor, y, x].float()
    cells = torch.stack([x, y], 1).to(rows.dtype)
    return rows, cells, anchors[anchor], rows.new_full((len(rows), 1), stride)


def _least_logit(score_thresh: float) -> float:
    """The logit of a score, a little less than exact, so that rounding drops nothing that passes."""
    score = score_thresh * (1 - 1e-6)
    if score <= 0:
        return -math.inf
    return math.log(score / (1 - score)) - 1e-3 if score < 1 else math.inf


def _choose(
    scores: torch.Tensor, score_thresh: float, max_candidates: int, multi_label: bool
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Of one picture's scores [N, K], those that enter the suppression, best first: rows, scores and labels, [M]."""
    if multi_label:
        index, labels = (scores > score_thresh).nonzero(as_tuple=True)
        best = scores[index, labels]
    else:
        best, labels = scores.max(1)
        index = (best > score_thresh).nonzero(as_tuple=True)[0]
        best, labels = best[index], labels[index]
    # The plain sort, as in YOLOv5: which of two equal scores stands first is not promised.
    order = best.argsort(descending=True)[:max_candidates]
    return index[order], best[order], labels[order]


def _keep(
    boxes: torch.Tensor,
    scores: torch.Tensor,
    labels: torch.Tensor,
    iou_thresh: float,
    class_agnostic: bool,
    max_detections: int,
) -> Kept:
    """Suppresses candidates, best first."""
    keep = _suppress(boxes.float(), scores.float(), labels, iou_thresh, class_agnostic)[:max_detections]
    return Kept(boxes[keep], scores[keep], labels[keep])


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
