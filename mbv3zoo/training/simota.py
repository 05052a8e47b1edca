"""SimOTA: of the anchors that could learn a box, those that already predict it best (YOLOX, arXiv 2107.08430)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch.nn.functional import one_hot

from mbv3zoo.training.assigner import Assignment

# The number of anchors a box gets is the sum of its so many largest IoUs; the weight of the IoU in the cost is YOLOX's.
_TOP = 10
_IOU_WEIGHT = 3.0


def choose(
    candidates: Sequence[Assignment], logits: Sequence[torch.Tensor], ious: Sequence[torch.Tensor]
) -> list[Assignment]:
    """Thins out an assignment by what the network predicts (YOLOX, section 2.2, "SimOTA").

    A box keeps its k cheapest anchors of all levels together, the cost being the cross-entropy of the class scores
    plus three times the negative logarithm of the IoU, and k the sum of its ten largest IoUs, at least 1. An anchor
    that several boxes want goes to the cheapest.

    Args:
        candidates: What the assignment by shape gives, one a level: the anchors whose decoding can reach the box.
        logits: Raw logits, [B, A, H, W, 5 + K] a level.
        ious: [M] a level, the IoU of each candidate's predicted box with its own, in 0..1.

    Returns:
        The chosen candidates, one `Assignment` a level.
    """
    sizes = [len(level.labels) for level in candidates]
    if not sum(sizes):
        return list(candidates)
    box_index = torch.cat([level.box_index for level in candidates])
    # A network that has diverged predicts nan: its loss shall say so, which a choice by nan would prevent.
    iou = torch.cat(list(ious)).nan_to_num(0.0)
    scores, places = _scores_and_places(candidates, logits)
    labels = torch.cat([level.labels for level in candidates])
    expected = one_hot(labels, scores.shape[1]).to(scores.dtype)
    cost = torch.nn.functional.binary_cross_entropy(scores, expected, reduction='none').sum(1)
    cost = cost - _IOU_WEIGHT * (iou + 1e-8).log()

    in_top = _rank_within(box_index, -iou) < _TOP
    count = iou.new_zeros(int(box_index.max()) + 1).index_add_(0, box_index, iou * in_top).int().clamp(min=1)
    kept = _rank_within(box_index, cost) < count[box_index]
    # The cheapest of the kept ones at each place.
    kept[kept.clone()] = _rank_within(places[kept], cost[kept]) == 0
    return [
        Assignment(*(field[mask] for field in level)) for level, mask in zip(candidates, kept.split(sizes), strict=True)
    ]


def _scores_and_places(
    candidates: Sequence[Assignment], logits: Sequence[torch.Tensor]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Each candidate's scores [M, K] (the geometric mean of objectness and class), and a number for its place [M]."""
    scores, places, offset = [], [], 0
    for level, values in zip(candidates, logits, strict=True):
        _, anchors, height, width, _ = values.shape
        candidate = values[level.place].sigmoid()
        scores.append((candidate[:, 4:5] * candidate[:, 5:]).sqrt().nan_to_num(0.0))
        cell = ((level.image_index * anchors + level.anchor) * height + level.row) * width + level.column
        places.append(cell + offset)
        offset += values[..., 0].numel()
    return torch.cat(scores), torch.cat(places)


def _rank_within(group: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
    """The rank of each value among those of its group, 0 for the smallest: int64 [M]."""
    order = value.argsort(stable=True)
    order = order[group[order].argsort(stable=True)]
    ordered = group[order]
    first = torch.searchsorted(ordered, ordered)
    rank = torch.empty_like(order)
    rank[order] = torch.arange(len(order), device=group.device) - first
    return rank
