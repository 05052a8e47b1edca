"""results.csv, one line per epoch, and the other figures of a run."""

from __future__ import annotations

import csv
import io
import json
import logging
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from mbv3zoo.evaluation.masks import SegmentationMetrics
from mbv3zoo.evaluation.metrics import Metrics
from mbv3zoo.saving.folder import CARD_NAME, PICTURE_NAME
from mbv3zoo.training.best import folder_fault
from mbv3zoo.utils.atomic import atomic_write
from mbv3zoo.utils.csv import CSV_LIMIT
from mbv3zoo.utils.folders import move_aside
from mbv3zoo.utils.text import read_text

_logger = logging.getLogger(__name__)

RESULTS_NAME = 'results.csv'
# Metrics of the best weights, written when everything else of the run is.
METRICS_NAME = 'report/metrics.json'


def write_epoch(path: Path, row: Mapping[str, str]) -> None:
    """Adds the line of an epoch. Lines of this and later epochs, left by a run that was stopped, are removed.

    A damaged file is moved aside with a warning; the lines before the fault are taken over.
    """
    rows, fault = _read(path)
    if fault:
        kept = move_aside(path)
        _logger.warning(
            '%s: %s; it is kept as %s, and %d lines of it are taken over', path, fault, kept.name, len(rows)
        )
    rows = [old for old in rows if int(old['epoch']) < int(row['epoch'])]
    text = io.StringIO(newline='')
    # Columns of older lines are kept, empty from here on.
    columns = list(dict.fromkeys([*row, *(key for old in rows for key in old)]))
    writer = csv.DictWriter(text, columns, restval='', lineterminator='\n')
    writer.writeheader()
    writer.writerows([*rows, row])
    atomic_write(path, text.getvalue().encode('utf-8'))


def read_epochs(path: Path) -> list[dict[str, str]]:
    """The lines in order of epochs; empty if there is no file.

    Raises:
        ValueError: The file is damaged.
    """
    rows, fault = _read(path)
    if fault:
        raise ValueError(f'{path}: {fault}; expected the {RESULTS_NAME} of a training run')
    return rows


def read_metrics(run: Path) -> Any:
    """The metrics in the report of a run; None where they are missing or damaged."""
    path = run / METRICS_NAME
    try:
        plain = json.loads(read_text(path))
        kind: Any = SegmentationMetrics if 'miou' in plain else Metrics
        return TypeAdapter(kind).validate_python(vars(kind.from_dict(plain)))
    except (OSError, ValueError, TypeError, LookupError, AttributeError, RecursionError):
        return None


def is_reported(run: Path) -> bool:
    """Whether the report of a run is there, and `best/` with its card."""
    from mbv3zoo.plots.report import PLOT_NAMES

    report, best = (run / METRICS_NAME).parent, run / 'best'
    metrics = read_metrics(run)
    names = PLOT_NAMES[2:] if isinstance(metrics, SegmentationMetrics) else PLOT_NAMES
    plots = all((report / name).is_file() for name in names)
    if not plots or metrics is None or folder_fault(best) or not (best / CARD_NAME).is_file():
        return False
    # The card shows it.
    return (best / PICTURE_NAME).is_file() or not (report / PICTURE_NAME).stat().st_size


def _read(path: Path) -> tuple[list[dict[str, str]], str]:
    """The lines up to the first fault, and the fault, '' where there is none."""
    if not path.exists():
        return [], ''
    rows: dict[int, dict[str, str]] = {}
    try:
        reader = csv.DictReader(read_text(path, CSV_LIMIT, 'rows').splitlines(keepends=True))
        names = reader.fieldnames or ()
        if names and 'epoch' not in names:
            return [], "has no column 'epoch'"
        for row in reader:
            if fault := _fault(row, rows):
                return list(rows.values()), f'{fault} in line {reader.line_num}'
            rows[int(row['epoch'])] = row
    except (OSError, ValueError, csv.Error) as error:
        return list(rows.values()), f'cannot be read ({str(error).removeprefix(f"{path}:").strip()})'
    return [rows[epoch] for epoch in sorted(rows)], ''


def _fault(row: Mapping[str | None, str | None], rows: Mapping[int, object]) -> str:
    """What is wrong with a line, after those before it."""
    if None in row or None in row.values():
        return 'has too many or too few values'
    epoch = row['epoch'] or ''
    if not re.fullmatch('[0-9]{1,9}', epoch):
        return 'has an epoch that is no number'
    return f'has the epoch {epoch} a second time' if int(epoch) in rows else ''
