"""What a run reports after each epoch: a line of results.csv, its curves, a tracker and the terminal."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from mbv3zoo.evaluation.metrics import AP_NAMES, Metrics, format_table
from mbv3zoo.training.results import RESULTS_NAME, write_epoch
from mbv3zoo.utils.progress import write_above

_DIGITS = {'seconds': 1, 'waiting': 3, 'lr': 6}
_DRAW_EVERY = 60  # seconds between drawings of the curves


class EpochLog:
    """Reports the epochs of a run.

    Args:
        run: Folder of the run.
        epochs: Number of epochs of the run; the curves are drawn after the last one in any case.
        track: Gets all values of an epoch and its number; None for no tracker.
    """

    def __init__(self, run: Path, epochs: int, track: Callable[[dict[str, float], int], object] | None = None) -> None:
        self.path, self.epochs, self.track = run / RESULTS_NAME, epochs, track
        self.drawn = 0.0

    def write(self, epoch: int, values: Mapping[str, float], metrics: Metrics | None) -> None:
        """Reports one epoch.

        Args:
            epoch: Its number, from 1.
            values: Seconds, learning rate, losses, ... by name.
            metrics: Its evaluation; None if there was none.
        """
        from mbv3zoo.plots.curves import plot_curves

        figures = {name: getattr(metrics, name) for name in AP_NAMES} if metrics else {}
        row = {'epoch': str(epoch)} | {name: f'{value:.{_DIGITS.get(name, 5)}f}' for name, value in values.items()}
        row |= {name: f'{figures[name]:.4f}' if figures else '' for name in AP_NAMES}
        write_epoch(self.path, row)
        # Drawing takes a second: not after each of many short epochs.
        if epoch == self.epochs or time.monotonic() - self.drawn > _DRAW_EVERY:
            plot_curves(self.path, self.path.with_suffix('.png'))
            self.drawn = time.monotonic()
        if self.track:
            self.track({**values, **{name: value for name, value in figures.items() if not math.isnan(value)}}, epoch)
        write_above('  '.join(f'{key} {value}' for key, value in row.items() if value != ''))
        if metrics:
            write_above(format_table(metrics))
