"""SimOTA: of the anchors that could predict a box, choose those that already predict it best (arXiv 2107.08430)."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from mbv3zoo.data.loader import Targets
from mbv3zoo.training.assigner import Assignment, assign
from mbv3zoo.training.loss_parts import one_hot_like, paired_iou, predicted_boxes

# A box gets as many anchors as the sum of its `_TOP` largest IoUs; `_IOU_WEIGHT` is the weight of the IoU in the cost.
# Both are YOLOX's.
_TOP = 10
_IOU_WEIGHT = 3.0


@torch.no_grad()
def match(
    logits: Sequence[torch.Tensor],
    targets: Targets,
    anchors: torch.Tensor,
    strides: Sequence[int],
    anchor_ratio: float,
) -> list[Assignment]:
    """The anchors that are to learn the boxes of a batch: candidates by their shape, then `choose`.

    Args:
        logits: Raw logits, float32 [B, A, H, W, 5 + K] per level.
        targets: Labels of the batch.
        anchors, strides, anchor_ratio: As for `mbv3zoo.training.assigner.assign`.
    """
    grid_sizes = [(level.shape[2], level.shape[3]) for level in logits]
    candidates = assign(targets, anchors, strides, grid_sizes, anchor_ratio)
    ious = [
        paired_iou(predicted_boxes(level[found.place], found, sides / stride), found.boxes)
        for level, found, sides, stride in zip(logits, candidates, anchors, strides, strict=True)
    ]
    return choose(candidates, logits, ious)


def choose(
    candidates: Sequence[Assignment],
    logits: Sequence[torch.Tensor],
    ious: Sequence[torch.Tensor],
) -> list[Assignment]:
    """Reduces an assignment to the anchors whose predictions fit best (YOLOX, section 2.2, "SimOTA").

    A box keeps its k anchors of lowest cost over all levels. The cost is the cross-entropy of the class scores minus
    `_IOU_WEIGHT` times the logarithm of the IoU; k is the sum of the `_TOP` largest IoUs, at least 1. An anchor that
    several boxes keep goes to the one of lowest cost.

    Args:
        candidates: One assignment by shape per level (`mbv3zoo.training.assigner.assign`).
        logits: Raw logits, [B, A, H, W, 5 + K] per level.
        ious: [M] per level, IoU in 0..1 of the box that each candidate predicts with the box assigned to it.

    Returns:
        The chosen candidates, one `Assignment` per level.
    """
    sizes = [len(level.labels) for level in candidates]
    if not sum(sizes):
        return list(candidates)
    box_index = torch.cat([level.box_index for level in candidates])
    # Rows of no box are a box of their own, the last.
    is_box = box_index >= 0
    box_index = torch.where(is_box, box_index, len(box_index))
    # A network that has diverged predicts nan. The loss is to report it, so choosing must not fail.
    iou = torch.cat(list(ious)).nan_to_num(0.0)
    scores, places = _scores_and_places(candidates, logits)
    labels = torch.cat([level.labels for level in candidates])
    expected = one_hot_like(scores, labels)
    cost = torch.nn.functional.binary_cross_entropy(scores, expected, reduction='none').sum(1)
    cost = cost - _IOU_WEIGHT * (iou + 1e-8).log()

    # There are no more boxes than candidates.
    count = iou.new_zeros(len(iou) + 1)
    in_top = _rank_within(box_index, -iou) < _TOP
    count.index_add_(0, box_index, iou * in_top)
    count = count.int().clamp(min=1)
    kept = is_box & (_rank_within(box_index, cost) < count[box_index])
    # Of the kept ones, that of lowest cost at each place.
    kept = kept & (_rank_within(torch.where(kept, places, -1), cost) == 0)
    return [level.keep(mask) for level, mask in zip(candidates, kept.split(sizes), strict=True)]


def _scores_and_places(
    candidates: Sequence[Assignment], logits: Sequence[torch.Tensor]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Per candidate the scores [M, K], geometric means of objectness and class, and a number for its place [M]."""
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
    """Rank of each value within its group, 0 for the smallest: int64 [M]."""
    order = value.argsort(stable=True)
    order = order[group[order].argsort(stable=True)]
    ordered = group[order]
    first = torch.searchsorted(ordered, ordered)
    rank = torch.empty_like(order)
    rank[order] = torch.arange(len(order), device=group.device) - first
    return rank
