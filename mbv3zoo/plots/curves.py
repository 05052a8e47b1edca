"""Training curves: losses, average precision and learning rate over the epochs."""

from __future__ import annotations

import math
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from mbv3zoo.plots.figure import new_figure, plain_axes, save_figure, shown_name
from mbv3zoo.utils.csv import read_csv

# Title, unit, and column of results.csv -> label. The losses differ too much in scale for one plot.
_PANELS = (
    ('box loss', 'mean over the epoch', {'box': ''}),
    ('objectness loss', 'mean over the epoch', {'objectness': ''}),
    ('class loss', 'mean over the epoch', {'classes': ''}),
    ('average precision', 'on the validation set, 0 to 1', {'ap50': 'AP50', 'ap75': 'AP75', 'ap': 'AP'}),
    ('learning rate', 'at the end of the epoch', {'lr': ''}),
    ('time', 'seconds per epoch', {'seconds': ''}),
)
# Of segmenters.
_MASK_PANELS = (
    ('cross-entropy', 'mean over the epoch', {'cross_entropy': ''}),
    ('Dice loss', 'mean over the epoch', {'dice': ''}),
    ('mean IoU', 'on the validation set, 0 to 1', {'miou': 'mIoU'}),
    ('pixel accuracy', 'on the validation set, 0 to 1', {'pixel_accuracy': ''}),
    *_PANELS[4:],
)
# Most points that are drawn with markers, so that single epochs and rare evaluations are visible.
_MARKED = 40

Points = tuple[list[float], list[float]]


def plot_curves(results_csv: str | Path, path: str | Path) -> None:
    """Plots a run's losses, AP, learning rate and time over the epochs.

    Args:
        results_csv: A run's `results.csv`: one line per epoch, with a column `epoch`. Cells may be empty, columns may
            be missing, unknown ones are ignored.
        path: The PNG file to write.

    Raises:
        ValueError: The file is missing, or has no column `epoch`.
    """
    results_csv = Path(results_csv)
    rows = _read(results_csv)
    epochs = [epoch for row in rows if math.isfinite(epoch := _number(row['epoch']))]
    count = f'{len(epochs)} epochs' if len(epochs) != 1 else '1 epoch'
    panels = _MASK_PANELS if rows and 'miou' in rows[0] else _PANELS
    figure = new_figure(13, 7, f'{shown_name(results_csv.absolute().parent.name)}: {count}')
    for axes, (title, unit, columns) in zip(figure.subplots(2, 3).flat, panels, strict=True):
        curves = {column: points for column in columns if (points := _points(rows, column))[0]}
        plain_axes(axes, title + _best(curves), 'epoch', unit)
        if not curves:
            axes.text(0.5, 0.5, 'nothing recorded', transform=axes.transAxes, ha='center', color='grey')
            axes.set(xticks=[], yticks=[])
            continue
        for column, points in curves.items():
            marker = 'o' if len(points[0]) <= _MARKED else ''
            axes.plot(*points, marker=marker, markersize=3, linewidth=1.4, label=columns[column], clip_on=False)
        # One range for all plots.
        axes.set_xlim(min(epochs) - 0.5, max(epochs) + 0.5)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        _scale(axes, [value for _, values in curves.values() for value in values], is_loss='loss' in title)
        if len(columns) > 1:
            # Below the axes, so that the legend covers no line.
            axes.legend(loc='upper center', bbox_to_anchor=(0.5, -0.14), ncols=3, fontsize=8, frameon=False)
    save_figure(figure, path)


def _read(path: Path) -> list[dict[str, str]]:
    if not path.is_file():
        raise ValueError(f'{path}: no such file; expected the results.csv of a training run')
    columns, rows = read_csv(path)
    if 'epoch' not in columns:
        raise ValueError(f'{path}: has no column `epoch`; expected the results.csv of a training run')
    return rows


def _points(rows: list[dict[str, str]], column: str) -> Points:
    """Epochs and values of the lines with a number in this column."""
    pairs = [(_number(row['epoch']), _number(row.get(column))) for row in rows]
    pairs = [pair for pair in pairs if all(map(math.isfinite, pair))]
    return [epoch for epoch, _ in pairs], [value for _, value in pairs]


def _number(cell: str | None) -> float:
    try:
        return float(cell or 'nan')
    except ValueError:
        return math.nan


def _best(curves: dict[str, Points]) -> str:
    name = next((name for name in ('ap', 'miou') if name in curves), None)
    if name is None:
        return ''
    epochs, values = curves[name]
    return (
        f' (best {"AP" if name == "ap" else "mIoU"} {max(values):.3f} in epoch {epochs[values.index(max(values))]:.0f})'
    )


def _scale(axes: Axes, values: list[float], is_loss: bool) -> None:
    if is_loss and min(values) > 0 and max(values) > 10 * min(values):
        axes.set_yscale('log')
    else:
        axes.set_ylim(min(0, *values), max(values) * 1.05 or 1)
