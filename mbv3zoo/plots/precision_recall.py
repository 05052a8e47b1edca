"""Precision-recall curves."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mbv3zoo.evaluation.metrics import PrecisionRecall
from mbv3zoo.plots.figure import new_figure, plain_axes, save_figure, shown_name

# Ten colours, solid and dashed; more lines cannot be distinguished.
_MOST_NAMED = 20
_NAMED_ENDS = 5


def plot_precision_recall(curves: PrecisionRecall, path: str | Path) -> None:
    """Plots each class's curve, and their mean in bold.

    Up to 20 classes are named, the best first; of more only the best five and the worst five, and the others are grey.

    Args:
        curves: As from `mbv3zoo.evaluation.coco.score`; classes without objects are left out.
        path: The PNG file to write.
    """
    order = [int(i) for i in np.argsort(-curves.ap50, kind='stable') if not np.isnan(curves.ap50[i])]
    named = order if len(order) <= _MOST_NAMED else order[:_NAMED_ENDS] + order[-_NAMED_ENDS:]
    figure = new_figure(9, 6, 'Precision and recall at an IoU of 0.5')
    axes = figure.subplots()
    plain_axes(
        axes, '', 'recall: share of the objects that are found', 'precision: share of the detections that are right'
    )
    if len(order) > 1:
        # Named first, and drawn on top.
        mean = f'{curves.ap50[order].mean():.3f}  mean of {len(order)} classes'
        axes.plot(curves.recall, curves.mean, color='black', linewidth=3, label=mean, zorder=3)
    for i in order:
        if i not in named:
            axes.plot(curves.recall, curves.precision[i], color='0.8', linewidth=0.7)
    for place, i in enumerate(named):
        label = f'{curves.ap50[i]:.3f}  {shown_name(curves.class_names[i])}'
        style = '-' if place < 10 else '--'
        axes.plot(curves.recall, curves.precision[i], style, color=f'C{place % 10}', linewidth=1, label=label)
    axes.set(xlim=(0, 1), ylim=(0, 1.02))
    if order:
        title = 'AP50' if len(named) == len(order) else f'AP50: best and weakest {_NAMED_ENDS}'
        # Beside the plot, so that the legend covers no line.
        figure.legend(loc='outside right upper', title=title, fontsize=8, title_fontsize=9)
    else:
        axes.text(0.5, 0.5, 'no objects to find', ha='center', color='grey')
    save_figure(figure, path)
