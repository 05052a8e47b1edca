"""The confusion matrix of true and predicted classes."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import torch
from matplotlib.colors import PowerNorm
from torchvision.ops import box_area, box_iou

from mbv3zoo.data.detection_set import DetectionSet
from mbv3zoo.data.records import Record
from mbv3zoo.detections import Detections
from mbv3zoo.models.postprocess.thresholds import PREDICTION
from mbv3zoo.plots.figure import new_figure, save_figure, shown_name

IOU_THRESH = 0.5
# Most classes for which numbers are written in the cells, and for which every class is named at the axes.
_MOST_WRITTEN = 20
_MOST_NAMED = 120
# Most classes of a plot; with more of them, the rarer ones are one row.
MOST_CLASSES = 1000


def confusion_matrix(
    data: DetectionSet,
    detections: list[Detections],
    *,
    score_thresh: float = PREDICTION.score_thresh,
    iou_thresh: float = IOU_THRESH,
    groups: torch.Tensor | None = None,
) -> torch.Tensor:
    """Counts predicted classes per true class.

    In order of score, each detection is matched to the unmatched object of any class with the largest IoU. Crowds are
    not matched, and an unmatched detection with at least `iou_thresh` of its area in a crowd is not counted.

    Args:
        data: The labelled set, of K classes.
        detections: One per record.
        score_thresh: Detections with a lower score are left out, 0..1.
        iou_thresh: Least IoU with an object, 0..1.
        groups: int64 [K], for each class the row and column that count it, 0 to G - 1; by default its label.

    Returns:
        int64 [G + 1, G + 1], where G is K without `groups`: rows are true classes, columns predicted ones; the last
        column counts missed objects, the last row detections without an object.
    """
    if groups is None:
        groups = torch.arange(len(data.class_names))
    side = int(groups.max()) + 2
    # The background, which has the label after the last.
    places = torch.cat([groups, groups.new_tensor([side - 1])])
    counted = [groups.new_zeros(0)]
    for record, found in zip(data.records, detections, strict=True):
        found = found[found.scores >= score_thresh]
        truth, predicted = _pairs(record, found, iou_thresh, background=len(groups))
        counted.append(places[truth] * side + places[predicted])
    return torch.bincount(torch.cat(counted), minlength=side * side).view(side, side)


def most_frequent(data: DetectionSet, most: int = MOST_CLASSES) -> tuple[torch.Tensor, tuple[str, ...]]:
    """Groups for a confusion matrix of thousands of classes, which nobody could read.

    Args:
        data: The labelled set, of K classes.
        most: Most groups.

    Returns:
        groups: int64 [K], 0 to G - 1: each class by itself, or, where there are more than `most`, those with the most
            objects, in their order, and all others in the last one.
        names: The name of each group.
    """
    count = len(data.class_names)
    if count <= most:
        return torch.arange(count), data.class_names
    labels = torch.cat([torch.zeros(0, dtype=torch.int64), *(record.labels for record in data.records)])
    objects = torch.bincount(labels, minlength=count)
    chosen = objects.argsort(descending=True, stable=True)[: most - 1].sort().values
    groups = torch.full((count,), most - 1)
    groups[chosen] = torch.arange(most - 1)
    return groups, (*(data.class_names[label] for label in chosen.tolist()), f'{count - most + 1} other classes')


def plot_confusion(
    matrix: torch.Tensor | np.ndarray,
    class_names: tuple[str, ...],
    path: str | Path,
    score_thresh: float = PREDICTION.score_thresh,
    iou_thresh: float = IOU_THRESH,
) -> None:
    """Plots a confusion matrix, each row divided by its sum; a row without objects or pixels is empty.

    Args:
        matrix: int64 [K + 1, K + 1], as from `confusion_matrix`; or [K, K], of pixels.
        class_names: K names.
        path: The PNG file to write.
        score_thresh, iou_thresh: Those that it was counted with, which the title names.
    """
    counts = np.asarray(matrix)
    sums = counts.sum(1)
    shares = np.divide(counts, sums[:, None], out=np.full(counts.shape, math.nan), where=sums[:, None] > 0)
    side = len(counts)
    of_pixels = side == len(class_names)
    is_written = side - 1 <= _MOST_WRITTEN
    inches = min(max(side * (0.42 if is_written else 0.2), 3.5), 24)
    counted = f'detections with a score from {score_thresh:g}, IoU from {iou_thresh:g}'
    counted = 'pixels' if of_pixels else counted
    figure = new_figure(inches + 3.2, inches + 2.2, f'Confusion matrix, as shares of each row\n{counted}')
    axes = figure.subplots()
    axes.set_facecolor('0.93')
    # A square root scale, so that errors of a few percent are visible.
    image = axes.imshow(shares, cmap='Blues', norm=PowerNorm(0.5, 0, 1), interpolation='nearest')
    bar = figure.colorbar(image, shrink=0.6)
    bar.ax.tick_params(labelsize=8)

    names = [*(shown_name(name) for name in class_names), *([] if of_pixels else ['background'])]
    # Every class if there is room, else every n-th; always the last, which is the background of detections.
    ticks = [*range(0, side - 1, math.ceil(side / _MOST_NAMED)), side - 1]
    axes.set_xticks(ticks, [names[i] for i in ticks], rotation=90, fontsize=8)
    axes.set_yticks(ticks, [f'{names[i]} ({sums[i]})' for i in ticks], fontsize=8)
    axes.set_xlabel('found as' if of_pixels else 'detected as (background: objects that were missed)', fontsize=9)
    axes.set_ylabel('truth' if of_pixels else 'truth (background: detections without an object)', fontsize=9)
    if not of_pixels:
        # Lines between the classes and the background.
        axes.axhline(side - 1.5, color='black', linewidth=0.6)
        axes.axvline(side - 1.5, color='black', linewidth=0.6)
    if is_written:
        for row, column in np.argwhere(counts > 0):
            share = shares[row, column]
            colour = 'white' if share > 0.35 else 'black'
            axes.text(column, row, f'{share:.2f}', ha='center', va='center', fontsize=7, color=colour)
    save_figure(figure, path)


def _pairs(record: Record, found: Detections, iou_thresh: float, background: int) -> tuple[torch.Tensor, torch.Tensor]:
    """True and predicted class, int64 [M] each, of an image's objects and detections."""
    boxes, labels = record.boxes[~record.iscrowd].double(), record.labels[~record.iscrowd]
    order = torch.as_tensor(found.scores).argsort(descending=True, stable=True)
    found_boxes, found_labels = torch.as_tensor(found.boxes)[order].double(), torch.as_tensor(found.labels)[order]
    overlaps = box_iou(found_boxes, boxes)
    truth = torch.full_like(found_labels, background)
    is_free = torch.ones(len(boxes), dtype=torch.bool)
    for i in torch.nonzero((overlaps >= iou_thresh).any(1)).flatten().tolist():
        best, j = torch.where(is_free, overlaps[i], -1).max(0)
        if best >= iou_thresh:
            truth[i] = labels[j]
            is_free[j] = False
    is_counted = (truth != background) | ~_in_crowd(found_boxes, record.boxes[record.iscrowd].double(), iou_thresh)
    missed = labels[is_free]
    return (
        torch.cat([truth[is_counted], missed]),
        torch.cat([found_labels[is_counted], torch.full_like(missed, background)]),
    )


def _in_crowd(boxes: torch.Tensor, crowds: torch.Tensor, share: float) -> torch.Tensor:
    """Whether each of boxes [N, 4] has at least this fraction of its area in one of crowds [M, 4]; bool [N]."""
    top_left = torch.maximum(boxes[:, None, :2], crowds[None, :, :2])
    bottom_right = torch.minimum(boxes[:, None, 2:], crowds[None, :, 2:])
    inside = (bottom_right - top_left).clamp(min=0).prod(2)
    return ((inside > 0) & (inside >= share * box_area(boxes)[:, None])).any(1)
