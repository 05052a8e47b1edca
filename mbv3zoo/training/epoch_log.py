"""What a run reports after each epoch: a line of results.csv, its curves, a tracker and the terminal."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from mbv3zoo.config.model import Task
from mbv3zoo.evaluation.metrics import AP_NAMES
from mbv3zoo.training.results import RESULTS_NAME, write_epoch
from mbv3zoo.utils.progress import write_above

_DIGITS = {'seconds': 1, 'waiting': 3, 'lr': 6}
_DRAWING_SHARE = 0.05  # of the time of a run, at most, that its curves may take before the last epoch
# Names of figures in results.csv.
_FIGURES: dict[Task, tuple[str, ...]] = {'detection': AP_NAMES, 'segmentation': ('miou', 'pixel_accuracy')}
# Losses and figures that the terminal shows -> their titles.
_LOSSES: dict[Task, dict[str, str]] = {
    'detection': {'box': 'box', 'classes': 'class', 'objectness': 'objectness'},
    'segmentation': {'cross_entropy': 'cross-entropy', 'dice': 'Dice'},
}
_SHOWN: dict[Task, dict[str, str]] = {
    'detection': {'ap': 'AP', 'ap50': 'AP50'},
    'segmentation': {'miou': 'mIoU', 'pixel_accuracy': 'accuracy'},
}
_TITLES_EVERY = 20


class EpochLog:
    """Reports the epochs of a run.

    Args:
        run: Folder of the run.
        epochs: Number of epochs of the run; the curves are drawn after the last one in any case.
        track: Gets all values of an epoch and its number; None for no tracker.
        task: What is trained.
    """

    def __init__(
        self,
        run: Path,
        epochs: int,
        track: Callable[[dict[str, float], int], object] | None = None,
        task: Task = 'detection',
    ) -> None:
        self.names, self.losses, self.shown = _FIGURES[task], _LOSSES[task], _SHOWN[task]
        self.path, self.epochs, self.track = run / RESULTS_NAME, epochs, track
        self.lines, self.undrawn = 0, False
        self.drawn, self.drawing = -math.inf, 0.0  # when the curves were drawn, and how long it took

    def write(
        self,
        epoch: int,
        values: Mapping[str, float],
        metrics: Any,
        left: float = math.nan,
        memory: float | None = None,
    ) -> None:
        """Reports one epoch.

        Args:
            epoch: Its number, from 1.
            values: Seconds, learning rate, losses, ... by name.
            metrics: Its evaluation; None if there was none.
            left: Seconds until the run ends, nan if that is unknown.
            memory: Most bytes that the run has taken so far, None if that is unknown.
        """
        figures = metrics.figures() if metrics else {}
        row = {'epoch': str(epoch)} | {name: f'{value:.{_DIGITS.get(name, 5)}f}' for name, value in values.items()}
        row |= {name: f'{figures[name]:.4f}' if figures else '' for name in self.names}
        write_epoch(self.path, row)
        self.undrawn = True
        # After each evaluation, as long as that takes a small share of the time.
        if epoch >= self.epochs or (metrics and self.drawing <= _DRAWING_SHARE * (time.monotonic() - self.drawn)):
            self._draw()
        if self.track:
            self.track({**values, **{name: value for name, value in figures.items() if not math.isnan(value)}}, epoch)
        cells = [
            f'{epoch}/{self.epochs}',
            *(f'{values[name]:.4f}' for name in self.losses),
            f'{values["lr"]:.6f}',
            *(f'{figures[name]:.4f}' if figures else '-' for name in self.shown),
            shown_time(left),
            '-' if memory is None else f'{memory / 1e9:.2f} GB',
        ]
        if self.lines % _TITLES_EVERY == 0:
            write_above(self._line(['epoch', *self.losses.values(), 'lr', *self.shown.values(), 'time left', 'memory']))
        write_above(self._line(cells))
        self.lines += 1

    def end(self) -> None:
        """Draws the curves, if there are epochs that they do not show yet."""
        if self.undrawn:
            self._draw()

    def _line(self, cells: list[str]) -> str:
        losses = [max(9, len(title) + 1) for title in self.losses.values()]
        figures = [max(7, len(title) + 2) for title in self.shown.values()]
        widths = (9, *losses, 10, *figures, 11, 10)
        first, *others = [cell.rjust(width) for cell, width in zip(cells, widths, strict=True)]
        return first.strip().ljust(len(first)) + ''.join(others)

    def _draw(self) -> None:
        from mbv3zoo.plots.curves import plot_curves

        now = time.monotonic()
        plot_curves(self.path, self.path.with_suffix('.png'))
        self.drawn = time.monotonic()
        self.drawing, self.undrawn = self.drawn - now, False


def shown_time(seconds: float) -> str:
    """A span of time as h:mm:ss or m:ss; '-' for nan."""
    if math.isnan(seconds):
        return '-'
    minutes, second = divmod(max(0, round(seconds)), 60)
    hours, minute = divmod(minutes, 60)
    return f'{hours}:{minute:02}:{second:02}' if hours else f'{minute}:{second:02}'
