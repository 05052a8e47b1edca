"""The picture of a family of fitted models: AP or mIoU against time."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mbv3zoo.config.fit_record import FitRecord
from mbv3zoo.plots.figure import new_figure, plain_axes, save_figure


def draw_family(records: Sequence[FitRecord], uniform: Sequence[FitRecord], path: str | Path) -> None:
    """Draws the model before, the fitted ones before and after their training, and uniform widths beside them.

    Args:
        records: Of the fitted models.
        uniform: Of models whose layers are all narrower by one factor, not trained.
        path: The PNG file to write.

    Raises:
        ValueError: There are no records.
    """
    if not records:
        raise ValueError('no records; expected that of at least one fitted model')
    first = records[0]
    whole = first.before_ms, first.quality_before or 0
    figure = new_figure(8, 5, f'{first.measure} against time: {first.runtime}, {first.precision}, {first.machine}')
    axes = figure.subplots()
    plain_axes(axes, '', 'milliseconds of a call with one image', first.measure)
    for label, points, style, color in (
        ('fitted and trained', [(r.measured_ms, r.quality_after) for r in records], 'o-', 'black'),
        ('fitted, not trained', [(r.measured_ms, r.quality_narrowed) for r in records], 'o--', '0.45'),
        ('one width multiplier, not trained', [(r.measured_ms, r.quality_narrowed) for r in uniform], 's:', '0.45'),
    ):
        known = sorted((ms, quality) for ms, quality in points if quality is not None)
        if known:
            ms, quality = zip(*known, whole, strict=True)
            axes.plot(ms, quality, style, color=color, label=label, markevery=range(len(known)))
    axes.plot(*whole, '*', color='black', markersize=14, label='before')
    axes.set_ylim(bottom=0)
    axes.legend(fontsize=8, loc='lower right')
    save_figure(figure, path)
