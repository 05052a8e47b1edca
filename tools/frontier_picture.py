"""The frontier: average precision against time, and which models no other one beats in both."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise, product
from pathlib import Path
from typing import NamedTuple

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator
from matplotlib.transforms import Bbox

from mbv3zoo.plots.figure import new_figure, plain_axes, save_figure, shown_name
from mbv3zoo.utils.atomic import atomic_write

# Families are told apart by their marks, so that it can be printed in black and white.
_MARKERS = 'osD^vP*Xph<>'
_GREYS = ('black', '0.35', '0.55')
_LOG_FROM = 8
# Where a name may stand, from its point: to the right first. In points; the further ones get a line.
_SIDES = ((1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (1, -1), (-1, 1), (-1, -1))
_DISTANCES = (7, 14, 24, 36, 50, 66)
_LINE_FROM = 14
_MARK = 8


class Point(NamedTuple):
    """One model.

    Attributes:
        name: What is written beside it.
        ms: Milliseconds; less is better.
        ap: Average precision, 0..1; more is better.
        family: Models of one family have one mark.
    """

    name: str
    ms: float
    ap: float
    family: str = ''


def pareto(points: Sequence[Point]) -> list[Point]:
    """The points that no other one is as good as in both and better in one, the fastest first."""
    best: list[Point] = []
    for point in sorted(points, key=lambda point: (point.ms, -point.ap)):
        equal = best and (point.ms, point.ap) == (best[-1].ms, best[-1].ap)
        if not best or point.ap > best[-1].ap or equal:
            best.append(point)
    return best


def draw_frontier(
    models: Sequence[Point | tuple[str, float, float, str]],
    path: str | Path,
    title: str = 'average precision against time',
    x_label: str = 'milliseconds a picture',
    y_label: str = 'AP',
) -> None:
    """Draws models as points, filled where no other one beats them in both, and a line through the filled ones.

    Args:
        models: (name, ms, ap, family) of each.
        path: The .png or .svg to write.
        title, x_label, y_label: Title and labels of the axes.

    Raises:
        ValueError: There are no models, or the file is neither.
    """
    path, points = Path(path), [Point(*model) for model in models]
    if not points:
        raise ValueError('no points; expected at least one model with a time and an AP')
    if path.suffix.lower() not in ('.png', '.svg'):
        raise ValueError(f'{path}: expected a name that ends in .png or .svg')
    figure = new_figure(9, 6, title)
    axes = figure.subplots()
    plain_axes(axes, '', x_label, y_label)
    best = pareto(points)
    _scale(axes, points)
    axes.plot([point.ms for point in best], [point.ap for point in best], color='black', linewidth=1, zorder=1)
    for index, family in enumerate(dict.fromkeys(point.family for point in points)):
        own, grey = [point for point in points if point.family == family], _GREYS[index % len(_GREYS)]
        axes.scatter(
            [point.ms for point in own],
            [point.ap for point in own],
            s=_MARK**2,
            marker=_MARKERS[index % len(_MARKERS)],
            facecolors=[grey if point in best else 'white' for point in own],
            edgecolors=grey,
            label=shown_name(family, 40),
            zorder=2,
        )
    if any(point.family for point in points):
        legend = {'title': 'full: no other is as fast and better', 'title_fontsize': 8, 'fontsize': 8, 'frameon': False}
        figure.legend(loc='outside lower center', ncols=5, **legend)
    _write_names(figure, axes, points, best)
    _save(figure, path)


def _scale(axes: Axes, points: Sequence[Point]) -> None:
    times, values = [point.ms for point in points], [point.ap for point in points]
    if max(times) > _LOG_FROM * min(times):
        axes.set_xscale('log')
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f'{value:g}'))
    else:
        axes.set_xlim(0, 1.25 * max(times))
        axes.xaxis.set_major_locator(MaxNLocator(8))
    room = 0.15 * (max(values) - min(values)) or 0.05
    axes.set_ylim(min(values) - room, max(values) + room)


def _write_names(figure: Figure, axes: Axes, points: Sequence[Point], best: Sequence[Point]) -> None:
    """Writes each name where it covers no mark, no line and no other name; where there is no such place, the least."""
    figure.draw_without_rendering()
    # What is laid out now stays, or places that were found free move.
    figure.set_layout_engine('none')
    scale = figure.dpi / 72
    half = _MARK / 2 * scale + 1
    taken = [_box(spot, half) for spot in _spots(axes, points)]
    taken += [_box(spot, 1) for spot in _along(_spots(axes, best))]
    inside = axes.get_window_extent()
    for point in sorted(points, key=lambda point: -point.ap):
        tried = []
        for distance, (dx, dy) in product(_DISTANCES, _SIDES):
            note = axes.annotate(
                shown_name(point.name, 40),
                (point.ms, point.ap),
                (dx * distance, dy * distance),
                textcoords='offset points',
                ha={1: 'left', 0: 'center', -1: 'right'}[dx],
                va={1: 'bottom', 0: 'center', -1: 'top'}[dy],
                fontsize=8,
            )
            box = note.get_window_extent()
            outside = box.width * box.height - _shared(box, inside)
            tried.append((outside + sum(_shared(box, other) for other in taken), note, box, distance))
            if tried[-1][0] == 0:
                break
        _, kept, box, distance = min(tried, key=lambda entry: entry[0])
        for _, note, _, _ in tried:
            if note is not kept:
                note.remove()
        if distance > _LINE_FROM:
            line = {'arrowstyle': '-', 'linewidth': 0.5, 'color': '0.4', 'shrinkA': 0, 'shrinkB': _MARK / 2}
            axes.annotate('', kept.xy, kept.get_position(), textcoords='offset points', arrowprops=line)
        taken.append(box)


def _spots(axes: Axes, points: Sequence[Point]) -> np.ndarray:
    """Where points stand in the image, in pixels, [N, 2]."""
    return axes.transData.transform([(point.ms, point.ap) for point in points])


def _along(spots: np.ndarray) -> Iterator[np.ndarray]:
    """Places on the line through spots, a few pixels apart."""
    for start, end in pairwise(spots):
        yield from np.linspace(start, end, 2 + int(np.hypot(*(end - start)) / 4))


def _box(spot: np.ndarray, half: float) -> Bbox:
    return Bbox([spot - half, spot + half])


def _shared(a: Bbox, b: Bbox) -> float:
    """Area that two boxes share, in square pixels."""
    both = Bbox.intersection(a, b)
    return both.width * both.height if both is not None else 0


def _save(figure: Figure, path: Path) -> None:
    if path.suffix.lower() == '.png':
        save_figure(figure, path)
        return
    # The same points give the same bytes.
    with matplotlib.rc_context({'svg.hashsalt': 'mbv3zoo'}):
        atomic_write(path, lambda file: figure.savefig(file, format='svg', metadata={'Date': None}))
