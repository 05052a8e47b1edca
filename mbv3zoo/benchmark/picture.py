"""A bar plot of the time per call."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mbv3zoo.benchmark.rows import Row, shown_size
from mbv3zoo.plots.figure import new_figure, plain_axes, save_figure, shown_name

# Beyond this ratio of the longest to the shortest, short bars would vanish.
_LOG_FROM = 30
_WIDTH = 0.8
# Distinct without colour too.
_HATCHES = ('', '///', '...', '\\\\\\', 'xxx', '+++', 'ooo', '---')


def draw_latency(rows: Sequence[Row], path: str | Path) -> None:
    """Draws a group of bars per runtime, size and batch, one bar per model, with the 10th to 90th percentile.

    Args:
        rows: As from `mbv3zoo.run_benchmark`; those without figures are left out.
        path: The PNG to write.
    """
    rows = [row for row in rows if row.ms is not None]
    times = [_times(row)[1] for row in rows]
    groups = list(dict.fromkeys((row.runtime, row.size, row.batch) for row in rows))
    models = list(dict.fromkeys(row.model for row in rows))
    names = _short(models)
    longest = max(map(len, names), default=0)
    figure = new_figure(max(7, 2 + len(groups) * (0.6 + 0.22 * len(models))), 5, 'time of a call')
    axes = figure.subplots()
    plain_axes(axes, 'median of the blocks; the line goes from their 10th to their 90th percentile', '', 'milliseconds')
    if not rows:
        axes.text(0.5, 0.5, 'nothing was measured', transform=axes.transAxes, ha='center', color='grey')
        axes.set(xticks=[], yticks=[])
        save_figure(figure, path)
        return
    width = _WIDTH / len(models)
    for index, model in enumerate(models):
        own = [row for row in rows if row.model == model]
        shift = (index + 0.5) * width - _WIDTH / 2
        places = [groups.index((row.runtime, row.size, row.batch)) + shift for row in own]
        low, middle, high = zip(*map(_times, own), strict=True)
        axes.bar(
            places,
            middle,
            width,
            yerr=[np.subtract(middle, low), np.subtract(high, middle)],
            error_kw={'elinewidth': 1},
            label=names[index],
            hatch=_HATCHES[index % len(_HATCHES)],
            edgecolor='white',
            linewidth=0,
        )
    axes.set_xticks(range(len(groups)), [f'{name}\n{shown_size(size)}, batch {batch}' for name, size, batch in groups])
    if max(times) > _LOG_FROM * min(times):
        axes.set_yscale('log')
    axes.grid(axis='x', visible=False)
    axes.set_axisbelow(True)
    columns = max(1, int(figure.get_figwidth() * 11 // (longest + 8)))
    figure.legend(loc='outside lower center', ncols=min(columns, len(models)), fontsize=8, frameon=False)
    save_figure(figure, path)


def _short(models: Sequence[str]) -> list[str]:
    """Labels of models: of paths the last part, where no two share it."""
    short = [Path(model).name for model in models]
    return [
        shown_name(name if short.count(name) == 1 else model, 40) for name, model in zip(short, models, strict=True)
    ]


def _times(row: Row) -> tuple[float, float, float]:
    """10th percentile, median and 90th percentile of a row that has figures."""
    assert row.ms is not None and row.ms_low is not None and row.ms_high is not None
    return min(row.ms_low, row.ms), row.ms, max(row.ms_high, row.ms)
