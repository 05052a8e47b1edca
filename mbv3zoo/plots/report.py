"""The plots and figures of an evaluation, in one folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from mbv3zoo.evaluation.f1 import as_predicted
from mbv3zoo.evaluation.masks import SegmentationEvaluation, SegmentationMetrics
from mbv3zoo.evaluation.metrics import Evaluation, Metrics
from mbv3zoo.plots.confusion import confusion_matrix, most_frequent, plot_confusion
from mbv3zoo.plots.f1 import plot_f1
from mbv3zoo.plots.pictures import plot_label_maps, plot_predictions
from mbv3zoo.plots.precision_recall import plot_precision_recall
from mbv3zoo.utils.atomic import atomic_write, staged
from mbv3zoo.utils.disk import make_folder

METRICS_NAME = 'metrics.json'

# What `write_plots` writes; of a segmenter the last two.
PLOT_NAMES = ('pr_curve.png', 'f1_curve.png', 'confusion_matrix.png', 'predictions.png')


def write_report(evaluation: Evaluation | SegmentationEvaluation, data: Any, folder: str | Path) -> None:
    """Writes the plots `PLOT_NAMES` and metrics.json; files of these names are replaced.

    They are put in place together (`mbv3zoo.utils.atomic.staged`).

    Args:
        evaluation: As from `mbv3zoo.evaluation.run.run_evaluation`.
        data: The dataset that was evaluated.
        folder: Created if it does not exist.
    """
    folder = Path(folder)
    make_folder(folder)
    with staged(folder, METRICS_NAME) as place:
        write_plots(evaluation, data, place)
        write_metrics(evaluation.metrics, place / METRICS_NAME)


def write_plots(evaluation: Evaluation | SegmentationEvaluation, data: Any, folder: str | Path) -> None:
    """Writes the plots of `write_report`."""
    folder = Path(folder)
    make_folder(folder)
    if isinstance(evaluation, SegmentationEvaluation):
        plot_confusion(evaluation.confusion, data.class_names, folder / 'confusion_matrix.png')
        return plot_label_maps(data, evaluation.shown, folder / 'predictions.png')
    plot_precision_recall(evaluation.curves, folder / 'pr_curve.png')
    if evaluation.metrics.f1_curve is not None:
        plot_f1(evaluation.metrics.f1_curve, folder / 'f1_curve.png')
    # One class per box, as the others would all count as detections without an object.
    groups, names = most_frequent(data)
    matrix = confusion_matrix(data, [as_predicted(found) for found in evaluation.detections], groups=groups)
    # Counted with the thresholds that both have by default.
    plot_confusion(matrix, names, folder / 'confusion_matrix.png')
    plot_predictions(data, evaluation.detections, folder / 'predictions.png')


def write_metrics(metrics: Metrics | SegmentationMetrics, path: Path) -> None:
    """Writes the figures of `write_report`, as JSON."""
    atomic_write(path, (json.dumps(metrics.to_dict(), indent=2) + '\n').encode('utf-8'))
