"""Bars of what a call takes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mbv3zoo.benchmark.rows import Row, shown_size
from mbv3zoo.plots.figure import new_figure, plain_axes, save_figure, shown_name

# Beyond this ratio of the longest to the shortest, short bars would vanish.
_LOG_FROM = 30
_WIDTH = 0.8
# Told apart without colour too.
_HATCHES = ('', '///', '...', '\\\\\\', 'xxx', '+++', 'ooo', '---')


def draw_latency(rows: Sequence[Row], path: str | Path) -> None:
    """Draws a group of bars for each runtime, size and batch, a bar a model, with the 10th to 90th percentile.

    Args:
        rows: As from `mbv3zoo.benchmark.run.benchmark`; those without figures are left out.
        path: The PNG to write.
    """
    rows = [row for row in rows if row.ms is not None]
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
        places = [groups.index((row.runtime, row.size, row.batch)) for row in own]
        places = [place + (index + 0.5) * width - _WIDTH / 2 for place in places]
        spread = [[row.ms - row.ms_low for row in own], [row.ms_high - row.ms for row in own]]
        axes.bar(
            places,
            [row.ms for row in own],
            width,
            yerr=[[max(0, length) for length in side] for side in spread],
            error_kw={'elinewidth': 1},
            label=names[index],
            hatch=_HATCHES[index % len(_HATCHES)],
            edgecolor='white',
            linewidth=0,
        )
    axes.set_xticks(range(len(groups)), [f'{name}\n{shown_size(size)}, batch {batch}' for name, size, batch in groups])
    times = [row.ms for row in rows]
    if max(times) > _LOG_FROM * min(times):
        axes.set_yscale('log')
    axes.grid(axis='x', visible=False)
    axes.set_axisbelow(True)
    columns = max(1, int(figure.get_figwidth() * 11 // (longest + 8)))
    figure.legend(loc='outside lower center', ncols=min(columns, len(models)), fontsize=8, frameon=False)
    save_figure(figure, path)


def _short(models: Sequence[str]) -> list[str]:
    """What is written for models: of paths the last part, where that tells them apart."""
    short = [Path(model).name for model in models]
    return [
        shown_name(name if short.count(name) == 1 else model, 40) for name, model in zip(short, models, strict=True)
    ]
