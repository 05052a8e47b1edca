"""The boxes around COCO's segmentations."""

from __future__ import annotations

from typing import Any

import numpy as np
from faster_coco_eval import mask

from mbv3zoo.data.label_values import as_number
from mbv3zoo.utils.text import shown


def segmentation_box(segmentation: Any) -> tuple[tuple[float, float, float, float], float]:
    """(x, y, width, height) and area, in pixels, of polygons or run lengths.

    Raises:
        ValueError: It is neither.
    """
    if isinstance(segmentation, dict):
        return _mask_box(segmentation)
    polygons = [segmentation] if _is_polygon(segmentation) else segmentation
    if not isinstance(polygons, list) or not polygons or not all(map(_is_polygon, polygons)):
        raise ValueError(f'segmentation {shown(segmentation)} is neither polygons nor run lengths')
    points = [np.asarray(polygon, dtype=np.float64).reshape(-1, 2) for polygon in polygons]
    low, high = np.concatenate(points).min(0), np.concatenate(points).max(0)
    (x, y), (width, height) = low.tolist(), (high - low).tolist()
    return (x, y, width, height), sum(map(_polygon_area, points))


def _mask_box(run_lengths: dict[str, Any]) -> tuple[tuple[float, float, float, float], float]:
    try:
        if isinstance(run_lengths['counts'], list):
            run_lengths = mask.frPyObjects(run_lengths, *run_lengths['size'])
        x, y, width, height = mask.toBbox(run_lengths).tolist()
        area = float(mask.area(run_lengths))
    except (KeyError, TypeError, RuntimeError, ValueError, OverflowError) as error:
        raise ValueError(f'segmentation {shown(run_lengths)} is not the run lengths of a mask') from error
    if not area:
        raise ValueError(f'segmentation {shown(run_lengths)} is an empty mask')
    return (x, y, width, height), area


def _polygon_area(points: np.ndarray) -> float:
    """Shoelace formula, points [N, 2]."""
    x, y = points.T
    return abs(float(x @ np.roll(y, -1) - y @ np.roll(x, -1))) / 2


def _is_polygon(values: Any) -> bool:
    """Whether a list holds the x and y of three points or more."""
    try:
        return isinstance(values, list) and len(values) >= 6 and not len(values) % 2 and bool([*map(as_number, values)])
    except ValueError:
        return False
