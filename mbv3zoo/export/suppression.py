"""NMS inside exported graphs: of each image and class by itself, whatever their number is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import torch
from torch import Tensor, nn
from torchvision.ops import nms

_one_operator = ContextVar('one_operator', default=False)


@contextmanager
def one_operator() -> Iterator[None]:
    """Context manager: graphs hold NMS as one operator, `mbv3zoo::non_max_suppression`, which ONNX has a name for."""
    token = _one_operator.set(True)
    try:
        yield
    finally:
        _one_operator.reset(token)


def keep(boxes: Tensor, best: Tensor, labels: Tensor, score_thresh: float, iou_thresh: float, most: int) -> Tensor:
    """What NMS keeps, in operators that every exporter knows.

    Args:
        boxes: [B, N, 4] xyxy.
        best: [B, N], the best score of each box.
        labels: [B, N] int64, its class.
        score_thresh: Only scores above it are kept, 0..1.
        iou_thresh: Of two boxes of one class whose IoU is above it, only the one with the higher score is kept.
        most: Most detections per image.

    Returns:
        [M, 7] image index, box, score, label; image by image, the best first.
    """
    found = best > score_thresh
    # The first cell too, as OpenVINO cannot reshape what is empty.
    cells = (found.any(0) | (torch.arange(best.shape[1], device=best.device) == 0)).nonzero().squeeze(1)
    boxes, best, labels, found = boxes[:, cells], best[:, cells], labels[:, cells], found[:, cells]
    # Only classes that are found have a row: never more numbers than the network's own outputs are.
    classes = labels[found | (cells == 0)].unique().view(1, -1, 1)
    scores = torch.where(found.unsqueeze(1) & (labels.unsqueeze(1) == classes), best.unsqueeze(1), -1.0)
    suppress = OPERATOR if _one_operator.get() else non_max_suppression
    image, _, cell = suppress(boxes, scores, iou_thresh, most).unbind(1)
    # Of equal scores the earlier cell is the first.
    order = (image * boxes.shape[1] + cell).argsort()
    order = order[best[image[order], cell[order]].argsort(descending=True, stable=True)]
    # Not by the image alone: OpenVINO does not keep the order of equal numbers.
    order = order[(image[order] * order.shape[0] + torch.arange(order.shape[0], device=order.device)).argsort()]
    image, cell = image[order], cell[order]
    numbers = image, best[image, cell], labels[image, cell]
    index, score, label = (number.to(boxes.dtype).unsqueeze(1) for number in numbers)
    rows = torch.cat([index, boxes[image, cell], score, label], 1)
    # Each row's rank among those of its image.
    own = (image == torch.arange(best.shape[0], device=image.device).unsqueeze(1)).int()
    return rows[(own.cumsum(1) * own).sum(0) <= most]


def non_max_suppression(boxes: Tensor, scores: Tensor, iou_thresh: float, most: int) -> Tensor:
    """ONNX's operator NonMaxSuppression: greedy NMS of each image and class.

    Args:
        boxes: [B, C, 4] xyxy.
        scores: [B, K, C] of each box in each class; those of 0 and below are no candidates.
        iou_thresh: Boxes with a larger IoU with a better one are dropped.
        most: Most boxes per image and class; taken by ONNX's operator only.

    Returns:
        int64 [M, 3]: image, class, box.
    """
    candidates = (scores > 0).nonzero()
    image, label, cell = candidates.unbind(1)
    # Two flat boxes, which are always kept: torch.export takes it for granted that NMS keeps two.
    own = torch.cat([boxes[image, cell].double(), boxes.new_zeros(2, 4, dtype=torch.float64)])
    best = torch.cat([scores[image, label, cell].double(), scores.new_zeros(2, dtype=torch.float64)])
    # Boxes of other classes are moved to the right and those of other images down, so that one NMS does for all: by a
    # power of two, with which float64 loses none of their digits.
    step = torch.exp2(torch.log2(own.max() - own.min()).floor() + 1)
    shift = torch.stack([label, image, label, image], 1) * step
    kept = nms(own + nn.functional.pad(shift, (0, 0, 0, 2)), best, iou_thresh)
    return candidates[kept[kept < candidates.shape[0]]]


OPERATOR = torch.library.custom_op('mbv3zoo::non_max_suppression', non_max_suppression, mutates_args=())


@OPERATOR.register_fake
def _(boxes: Tensor, scores: Tensor, iou_thresh: float, most: int) -> Tensor:
    return boxes.new_empty(torch.library.get_ctx().new_dynamic_size(), 3, dtype=torch.int64)
