"""The rows of YOLO label files: boxes, outlines, boxes with keypoints, and what only looks like one of them."""

from __future__ import annotations

import math
from pathlib import Path
from typing import NamedTuple

import numpy as np

from mbv3zoo.data.label_values import LABELS_LIMIT
from mbv3zoo.data.problems import LabelProblems
from mbv3zoo.utils.text import decode_text, one_line, read_bytes

# How far outside the picture an outline may reach, as a share of its sides: turned boxes do, ids and pixels go further.
_OUTLINE_TOLERANCE = 0.5
# Of boxes that end at the picture's edge, written with few digits.
_BOX_TOLERANCE = 0.01
# No corner of a box in shares lies beyond it, however it was drawn; those in pixels do.
_FAR = 2
# Longer rows are outlines; keypoints have far fewer values.
_MOST_COLUMNS = 500


class Row(NamedTuple):
    """One object: class, box as x1 y1 x2 y2 in shares of the picture's sides, and number of the line."""

    label: float
    corners: tuple[float, float, float, float]
    line: int


class RowReader:
    """Reads the label files of one split, whose long rows are all outlines or all boxes with more columns.

    Args:
        keypoints: `kpt_shape` of data.yaml, (number of keypoints, values of each), or None.
        data_yaml: Named in advice.
        problems: Where dropped rows are added.
    """

    def __init__(self, keypoints: tuple[int, int] | None, data_yaml: Path, problems: LabelProblems) -> None:
        self.keypoints, self.data_yaml, self.problems = keypoints, data_yaml, problems
        self._counts: set[int] = set()
        self._boxes = self._far = 0
        self._all_boxes = True
        # Places and counts of the first row that is no outline, and of the first that is hardly one.
        self._no_outline: tuple[str, int] | None = None
        self._odd_outline: tuple[str, int] | None = None

    def read(self, path: Path) -> list[Row] | None:
        """The rows of one file; repeated ones, and those that are no numbers, are dropped and added to the problems.

        Returns:
            None, with a problem, for a file that cannot be read.

        Raises:
            ValueError: There is `kpt_shape`, and a row has other columns.
        """
        try:
            lines = _lines(path)
        except (OSError, ValueError) as error:
            self.problems.add(str(path), f'its picture is left out: {error}')
            return None
        rows: list[Row] = []
        seen: dict[tuple[float, ...], int] = {}
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            where = f'{path}:{number}'
            try:
                label, *values = [float(value) for value in line.split()]
            except ValueError:
                label, values = 0.0, []
            first = seen.setdefault((label, *values), number)
            if len(values) < 4:
                shown = repr(one_line(line, 60))
                self.problems.add(where, f'{shown} is not `class cx cy w h`, nor `class` and a polygon; dropped')
            elif first != number:
                self.problems.add(where, f'repeats line {first}; dropped')
            elif (corners := self._corners(values, where)) is not None:
                self._boxes += 1
                self._far += _FAR < max(corners) < math.inf
                rows.append(Row(label, corners, number))
        return rows

    def check(self) -> None:
        """Call it after all files.

        Raises:
            ValueError: The long rows of the split are no outlines, so they are boxes with more columns; or most boxes
                are in pixels.
        """
        if self._far > self._boxes / 2:
            raise ValueError(
                f'{self.data_yaml}: {self._far} of {self._boxes} boxes lie far outside their pictures; they look like '
                "pixels, and shares of the picture's sides (0..1) are expected. Divide them by its width and height"
            )
        # Outlines have as many points as their object's shape needs, so a single bad row tells nothing then.
        if len(self._counts) > 1:
            return
        found = self._no_outline or (self._odd_outline if self._all_boxes else None)
        if found:
            where, count = found
            raise ValueError(
                f'{where}: has {count} values after the class, which are neither a box (4) nor an outline; for '
                f'keypoints write `kpt_shape: [number, 2 or 3]` into {self.data_yaml}, else remove what follows the box'
            )

    def _corners(self, values: list[float], where: str) -> tuple[float, float, float, float] | None:
        if self.keypoints:
            expected = 4 + self.keypoints[0] * self.keypoints[1]
            if len(values) not in (4, expected):
                raise ValueError(
                    f'{where}: has {len(values)} values after the class, expected 4 of a box, or {expected} with the '
                    f'keypoints of `kpt_shape: {list(self.keypoints)}` in {self.data_yaml}; correct one of the two'
                )
        if len(values) == 4 or self.keypoints:
            return _box(values)
        points, count = np.array(values), len(values)
        if count % 2 or count < 6 or not (np.abs(points - 0.5) <= 0.5 + _OUTLINE_TOLERANCE).all():
            self._no_outline = self._no_outline or (where, count)
            self.problems.add(where, f'its {count} values are not the points of an outline in the picture; dropped')
            return None
        self._counts.add(count)
        self._all_boxes = self._all_boxes and _is_box(values)
        # Looked at for as long as there is doubt.
        doubt = self._all_boxes and len(self._counts) == 1 and not self._odd_outline and count <= _MOST_COLUMNS
        if doubt and not _is_likely_outline(points.reshape(-1, 2)):
            self._odd_outline = where, count
        x, y = points[::2], points[1::2]
        return float(x.min()), float(y.min()), float(x.max()), float(y.max())


def _lines(path: Path) -> list[str]:
    data = read_bytes(path, LABELS_LIMIT, 'labels')
    try:
        return decode_text(data, path).split('\n')
    except ValueError:
        if data[:2] in (b'\xff\xfe', b'\xfe\xff'):
            raise
        # Rows with other letters are no numbers, and are dropped as such; the others can be read.
        return data.decode('utf-8-sig', errors='replace').splitlines()


def _box(values: list[float]) -> tuple[float, float, float, float]:
    center_x, center_y, width, height = values[:4]
    return center_x - width / 2, center_y - height / 2, center_x + width / 2, center_y + height / 2


def _is_box(values: list[float]) -> bool:
    """Whether the first four values are a box inside the picture."""
    low, high = -_BOX_TOLERANCE, 1 + _BOX_TOLERANCE
    return values[2] > 0 < values[3] and all(low <= corner <= high for corner in _box(values))


def _is_likely_outline(points: np.ndarray) -> bool:
    """Whether points [N, 2], of which the first two are a box as well, are an outline all the same.

    Outlines have an area, repeat no point and do not cross themselves; those of four points are turned boxes.
    Not so triangles, which nobody draws, and whole numbers in all further columns, or in every third of them: those are
    flags, and whether a keypoint is seen.
    """
    columns = points.ravel()[4:]
    whole = columns == columns.round()
    if len(points) == 3 or whole.all() or (len(columns) % 3 == 0 and whole[2::3].all()):
        return False
    return _is_convex(points) if len(points) == 4 else _is_simple(points)


def _is_convex(points: np.ndarray) -> bool:
    steps = np.roll(points, -1, axis=0) - points
    turns = _cross(steps, np.roll(steps, -1, axis=0))
    return bool((turns > 0).all() or (turns < 0).all())


def _is_simple(points: np.ndarray) -> bool:
    ends = np.roll(points, -1, axis=0)
    # Many tools repeat the first point at the end.
    if np.array_equal(points[0], points[-1]):
        points, ends = points[:-1], ends[:-1]
    if len(points) < 3 or len(np.unique(points, axis=0)) < len(points) or not _cross(points, ends).sum():
        return False
    # side[i, j]: on which side of edge i the start of edge j is; and its end.
    start, step = points[:, None], (ends - points)[:, None]
    side_of_start, side_of_end = _cross(step, points[None] - start), _cross(step, ends[None] - start)
    apart = side_of_start * side_of_end < 0
    return not bool((apart & apart.T).any())


def _cross(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]
