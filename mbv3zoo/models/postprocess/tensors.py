"""Raw logits -> the detections of each image, in torch."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torchvision.ops import nms

from mbv3zoo.models.postprocess import arrays
from mbv3zoo.models.postprocess.decoding import MOST_SCORES, Kept, decode_boxes, least_logit
from mbv3zoo.models.postprocess.thresholds import PREDICTION, Thresholds

# Up to this number of boxes torchvision's NMS is the faster one.
_FEW = 1000


def postprocess(
    logits: Sequence[Tensor], anchors: Tensor, strides: Sequence[int], thresholds: Thresholds = PREDICTION
) -> list[Kept[Tensor]]:
    """Thresholds, decodes and, unless `thresholds.nms` is False, suppresses (greedy NMS per class).

    A score is the product of two probabilities and so never above the objectness: its logit alone drops nearly all
    cells before anything is decoded.

    Args:
        logits: One tensor per level, [B, A, H, W, 5 + K]; float16 logits are computed in float32.
        anchors: [levels, A, 2], (width, height) in pixels of the network's input.
        strides: Stride of each level, in input pixels per cell.
        thresholds: What is kept.

    Returns:
        One `Kept` per image, boxes in pixels of the network's input.
    """
    least = least_logit(thresholds.score_thresh)
    kept = []
    for image in range(len(logits[0])):
        levels = [
            _live_cells(level[image], level_anchors, stride, least)
            for level, level_anchors, stride in zip(logits, anchors, strides, strict=True)
        ]
        rows, cells, sizes, steps = (torch.cat(parts) for parts in zip(*levels, strict=True))
        index, scores, labels = _of_logits(rows, thresholds)
        boxes = decode_boxes(rows[index, :4].sigmoid(), cells[index], sizes[index], steps[index])
        stays = suppress(boxes, scores, labels, thresholds)
        kept.append(Kept(boxes[stays], scores[stays], labels[stays]))
    return kept


def candidates(scores: Tensor, thresholds: Thresholds) -> tuple[Tensor, Tensor, Tensor]:
    """Of one image's scores [N, K] those that enter NMS, best first: rows, scores and labels, [M] each."""
    if thresholds.multi_label:
        index, labels = (scores > thresholds.score_thresh).nonzero(as_tuple=True)
        best = scores[index, labels]
    else:
        best, labels = scores.max(1)
        index = (best > thresholds.score_thresh).nonzero(as_tuple=True)[0]
        best, labels = best[index], labels[index]
    if thresholds.classes is not None:
        wanted = torch.isin(labels, labels.new_tensor(thresholds.classes))
        index, best, labels = index[wanted], best[wanted], labels[wanted]
    order = _best_first(best, thresholds.max_candidates)
    return index[order], best[order], labels[order]


def _of_logits(rows: Tensor, thresholds: Thresholds) -> tuple[Tensor, Tensor, Tensor]:
    """`candidates` of logits [N, 5 + K], some rows at a time, as the scores of thousands of classes take gigabytes."""
    found, start = [], 0
    for part in rows.split(max(1, MOST_SCORES // rows.shape[1])):
        probability = part.sigmoid()
        index, best, labels = candidates(probability[:, 4:5] * probability[:, 5:], thresholds)
        found.append((index + start, best, labels))
        start += len(part)
    if len(found) == 1:
        return found[0]
    index, best, labels = (torch.cat(parts) for parts in zip(*found, strict=True))
    order = _best_first(best, thresholds.max_candidates)
    return index[order], best[order], labels[order]


def _best_first(scores: Tensor, most: int) -> Tensor:
    """Order of scores [M], the best first, at most `most`; of equal ones the earlier first, as in NumPy."""
    if len(scores) <= most:
        return scores.argsort(descending=True, stable=True)
    enter = (scores >= scores.topk(most, sorted=False).values.min()).nonzero().squeeze(1)
    return enter[scores[enter].argsort(descending=True, stable=True)[:most]]


def suppress(boxes: Tensor, scores: Tensor, labels: Tensor, thresholds: Thresholds) -> Tensor:
    """Indices of the candidates that stay, best first; boxes [M, 4], scores and labels [M], best first.

    Greedy NMS of each class by itself, with IoUs in float64: what is kept of a class depends neither on its label nor
    on what other classes there are.
    """
    boxes = boxes.detach()
    if not thresholds.nms:
        return torch.arange(min(len(boxes), thresholds.max_detections), device=boxes.device)
    if len(boxes) <= _FEW:
        apart = _apart(boxes.double(), torch.zeros_like(labels) if thresholds.class_agnostic else labels)
        if apart is not None:
            return nms(apart, scores.double(), thresholds.iou_thresh)[: thresholds.max_detections]
    # The time of `nms` grows with the square of the number; this one stops at the last detection that is asked for.
    keep = arrays.suppress(boxes.cpu().numpy(), labels.cpu().numpy(), thresholds)
    return torch.from_numpy(keep).to(boxes.device)


def _apart(boxes: Tensor, labels: Tensor) -> Tensor | None:
    """Boxes [M, 4], float64, moved so far that those of different classes do not overlap; None where that rounds any.

    Sides and so IoUs stay what they are, to the last bit.
    """
    if not len(boxes):
        return boxes
    # Moved by powers of two, numbers lose the fewest digits.
    step = torch.exp2(torch.log2(boxes.max() - boxes.min()).floor() + 1)
    shift = (labels.unique(return_inverse=True)[1] * step).unsqueeze(1)
    moved = boxes + shift
    return moved if torch.equal(moved - shift, boxes) else None


def _live_cells(level: Tensor, anchors: Tensor, stride: int, least: float) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Of one image's level [A, H, W, 5 + K]: logits [N, 5 + K], cells and anchors [N, 2] and strides [N, 1]."""
    # Not `>`: compared with float16, the threshold is rounded to a value that may be the first that passes.
    anchor, y, x = (level[..., 4] >= least).nonzero(as_tuple=True)
    rows = level[anchor, y, x].float()
    cells = torch.stack([x, y], 1).to(rows.dtype)
    return rows, cells, anchors[anchor], rows.new_full((len(rows), 1), stride)
