"""Anchors fitted to a dataset by k-means."""

from __future__ import annotations

import logging

import torch

from mbv3zoo.config.types import LevelAnchors
from mbv3zoo.data.boxes import MIN_SIDE, fitting_scales
from mbv3zoo.data.detection_set import DetectionSet

_logger = logging.getLogger(__name__)

# Recall under which 'auto' fits anchors: YOLOv5's own bound.
MIN_RECALL = 0.98
_STEPS = 100


def box_sides(data: DetectionSet, image_size: tuple[int, int]) -> torch.Tensor:
    """(width, height) of every box that is a training target, in pixels of the letterboxed image: float32 [N, 2]."""
    return _sides(data, image_size)[are_targets(data, image_size)]


def are_targets(data: DetectionSet, image_size: tuple[int, int]) -> torch.Tensor:
    """Which objects are training targets, bool [N]: no crowds, and large enough in the letterboxed image."""
    return ~data.records.iscrowd & (_sides(data, image_size) >= MIN_SIDE).all(1)


def _sides(data: DetectionSet, image_size: tuple[int, int]) -> torch.Tensor:
    records = data.records
    scales = fitting_scales(records.sizes, image_size).float()[records.owners]
    return (records.boxes[:, 2:] - records.boxes[:, :2]) * scales[:, None]


def anchor_recall(sides: torch.Tensor, anchors: torch.Tensor, anchor_ratio: float) -> float:
    """The fraction of boxes that match an anchor: widths and heights differ by less than a factor `anchor_ratio`.

    Args:
        sides: [N, 2], (width, height) of the boxes in pixels.
        anchors: [..., 2], (width, height) of the anchors in pixels.
        anchor_ratio: As in `mbv3zoo.TrainConfig`.

    Returns:
        0..1; 1 if there are no boxes.
    """
    if not len(sides):
        return 1.0
    return (_ratios(sides, anchors.reshape(-1, 2)) < anchor_ratio).float().mean().item()


def fit_anchors(sides: torch.Tensor, levels: int, per_level: int) -> LevelAnchors:
    """Fits anchors by k-means on the logarithms of widths and heights: what counts is the ratio, as in the assignment.

    Redmon & Farhadi, "YOLO9000" (arXiv 1612.08242, section 2), use k-means too, with another distance.

    Args:
        sides: [N, 2], (width, height) of the boxes in pixels, N >= 1.
        levels: Number of feature levels.
        per_level: Number of anchors per level.

    Returns:
        Per level a list of (width, height) in pixels, sorted by area: the finest level first.
    """
    points = sides.double().log()
    count = levels * per_level
    # Start from boxes at evenly spaced ranks of area, so that the same data gives the same anchors. Equal boxes count
    # once here: of two identical centres, one would stay empty.
    distinct = points.unique(dim=0)
    by_area = distinct[distinct.sum(1).argsort(stable=True)]
    centers = by_area[((torch.arange(count) + 0.5) / count * len(by_area)).long()].clone()
    for _ in range(_STEPS):
        nearest = torch.cdist(points, centers).argmin(1)
        sums = torch.zeros_like(centers).index_add_(0, nearest, points)
        counts = torch.bincount(nearest, minlength=count)[:, None]
        moved = torch.where(counts > 0, sums / counts.clamp(min=1), centers)
        if torch.equal(moved, centers):
            break
        centers = moved
    centers = centers[centers.sum(1).argsort(stable=True)].exp()
    pairs = [(round(width, 1), round(height, 1)) for width, height in centers.tolist()]
    return tuple(tuple(pairs[i * per_level : (i + 1) * per_level]) for i in range(levels))


def choose_anchors(
    data: DetectionSet, image_size: tuple[int, int], given: LevelAnchors, mode: str, anchor_ratio: float
) -> LevelAnchors:
    """The detector's anchors, or anchors fitted to the data. Fitted ones are logged, and so is a low recall.

    Args:
        data: The training set.
        image_size: (height, width) of the network's input in pixels.
        given: The detector's anchors.
        mode: 'keep', 'fit' or 'auto', which fits if under 98 % of the boxes match a given anchor.
        anchor_ratio: As in `mbv3zoo.TrainConfig`.
    """
    sides = box_sides(data, image_size)
    recall = anchor_recall(sides, torch.tensor(given), anchor_ratio)
    if len(sides) and (mode == 'fit' or (mode == 'auto' and recall < MIN_RECALL)):
        fitted = fit_anchors(sides, len(given), len(given[0]))
        fitted_recall = anchor_recall(sides, torch.tensor(fitted), anchor_ratio)
        if mode == 'fit' or fitted_recall > recall:
            _logger.info(
                'anchors fitted to the data: they take %.1f %% of the boxes, the given ones %.1f %%: %s',
                100 * fitted_recall, 100 * recall, fitted,
            )  # fmt: skip
            return fitted
    if recall < MIN_RECALL:
        advice = 'anchors=auto would fit others' if mode == 'keep' else 'fitted ones would take no more'
        _logger.warning('the anchors take only %.1f %% of the boxes; %s', 100 * recall, advice)
    return given


def _ratios(sides: torch.Tensor, anchors: torch.Tensor) -> torch.Tensor:
    """The larger of the ratios of widths and heights between each box and its closest anchor: [N]."""
    ratio = sides[:, None] / anchors[None]
    return torch.maximum(ratio, 1 / ratio).amax(2).amin(1)
