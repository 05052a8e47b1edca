"""F1 over the score threshold."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from mbv3zoo.evaluation.metrics import F1Curve
from mbv3zoo.plots.figure import new_figure, plain_axes, save_figure, shown_name

# Ten colours, solid and dashed; of more classes the lines are grey.
_MOST_NAMED = 20


def plot_f1(curve: F1Curve, path: str | Path) -> None:
    """Plots each class's F1 over the score threshold, their mean in bold, and the best threshold.

    Args:
        curve: As from `mbv3zoo.evaluation.f1.f1_curve`; classes without objects are left out.
        path: The PNG file to write.
    """
    best, thresh = curve.best
    known = [i for i in range(len(curve.f1)) if not np.isnan(curve.f1[i, 0])]
    found = '' if math.isnan(thresh) else f': best {best:.3f} at a score of {thresh:.2f}'
    figure = new_figure(9, 6, f'F1 at an IoU of 0.5{found}')
    axes = figure.subplots()
    plain_axes(axes, '', 'score threshold: detections above it are kept', 'F1: mean of precision and recall (harmonic)')
    if len(known) > 1:
        label = f'mean of {len(known)} classes'
        axes.plot(curve.thresholds, curve.mean, color='black', linewidth=3, label=label, zorder=3)
    for place, i in enumerate(known):
        if len(known) > _MOST_NAMED:
            axes.plot(curve.thresholds, curve.f1[i], color='0.8', linewidth=0.7)
            continue
        label, style = shown_name(curve.class_names[i]), '-' if place < 10 else '--'
        axes.plot(curve.thresholds, curve.f1[i], style, color=f'C{place % 10}', linewidth=1, label=label)
    if not math.isnan(thresh):
        axes.axvline(thresh, color='black', linewidth=0.8, linestyle=':')
    axes.set(xlim=(0, 1), ylim=(0, 1.02))
    if known:
        # Beside the plot, so that the legend covers no line.
        figure.legend(loc='outside right upper', fontsize=8)
    else:
        axes.text(0.5, 0.5, 'no objects to find', ha='center', color='grey')
    save_figure(figure, path)
