"""Anchors for a data set: k-means on the logarithms of its boxes' sides."""

from __future__ import annotations

import logging

import torch

from mbv3zoo.data.boxes import MIN_SIDE
from mbv3zoo.data.records import DetectionSet
from mbv3zoo.images.letterbox import Letterbox

_logger = logging.getLogger(__name__)

Anchors = tuple[tuple[tuple[float, float], ...], ...]

# Below this share of boxes that some anchor takes, 'auto' fits anchors. YOLOv5's own bound.
MIN_RECALL = 0.98
_STEPS = 100


def box_sides(data: DetectionSet, image_size: tuple[int, int]) -> torch.Tensor:
    """(width, height) of every box that is a training target, in pixels of the letterboxed picture: [N, 2]."""
    sides = [torch.zeros(0, 2)]
    for record in data.records:
        boxes = record.boxes[~record.iscrowd]
        sides.append((boxes[:, 2:] - boxes[:, :2]) * Letterbox.fit(record.size, image_size).scale)
    joined = torch.cat(sides)
    return joined[(joined >= MIN_SIDE).all(1)]


def anchor_recall(sides: torch.Tensor, anchors: torch.Tensor, anchor_ratio: float) -> float:
    """The share of boxes that at least one anchor takes: none of its sides differs by `anchor_ratio` or more.

    Args:
        sides: [N, 2], (width, height) in pixels.
        anchors: [..., 2], likewise.

    Returns:
        0..1; 1 where there are no boxes.
    """
    if not len(sides):
        return 1.0
    return (_ratios(sides, anchors.reshape(-1, 2)) < anchor_ratio).float().mean().item()


def fit_anchors(sides: torch.Tensor, levels: int, per_level: int) -> Anchors:
    """Anchors for boxes: k-means on log sides, so that what counts is the ratio, as in the assignment.

    Redmon & Farhadi, "YOLO9000" (arXiv 1612.08242, section 2), choose anchors by k-means too, by another distance.

    Args:
        sides: [N, 2], (width, height) in pixels as `box_sides` gives them, N >= 1.
        levels: Feature levels, the finest first, which gets the smallest anchors.
        per_level: Anchors a level.

    Returns:
        `levels` lists of (width, height) in pixels, by area.
    """
    points = sides.double().log()
    count = levels * per_level
    # Start from boxes spread evenly over the order of areas: the same data gives the same anchors. Equal boxes count
    # once here: of two centres that start as one, one would stay without members.
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
    data: DetectionSet, image_size: tuple[int, int], given: Anchors, mode: str, anchor_ratio: float
) -> Anchors:
    """The given anchors, or ones fitted to the data, which is logged.

    Args:
        data: The training set.
        image_size: (height, width) of the network's input.
        given: The detector's anchors.
        mode: 'keep', 'fit', or 'auto': fit where the given ones take less than 98 % of the boxes.
        anchor_ratio: Largest ratio of sides at which an anchor takes a box.
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
    """The larger ratio of sides between each box and the anchor nearest by it: [N]."""
    ratio = sides[:, None] / anchors[None]
    return torch.maximum(ratio, 1 / ratio).amax(2).amin(1)
