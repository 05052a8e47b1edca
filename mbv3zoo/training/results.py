"""results.csv, one line per epoch, and where a run's other figures are."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from pathlib import Path

from mbv3zoo.utils.atomic import atomic_write

RESULTS_NAME = 'results.csv'
# Metrics of the best weights, written when the run is finished.
METRICS_NAME = 'report/metrics.json'


def write_epoch(path: Path, row: Mapping[str, str]) -> None:
    """Adds the line of an epoch. Lines of this and later epochs, left by a run that was stopped, are removed."""
    rows = [old for old in read_epochs(path) if int(old['epoch']) < int(row['epoch'])]
    text = io.StringIO(newline='')
    # Columns of older lines are kept, empty from here on.
    columns = list(dict.fromkeys([*row, *(key for old in rows for key in old)]))
    writer = csv.DictWriter(text, columns, restval='', lineterminator='\n')
    writer.writeheader()
    writer.writerows([*rows, row])
    atomic_write(path, text.getvalue().encode('utf-8'))


def read_epochs(path: Path) -> list[dict[str, str]]:
    """The lines in order of epochs; empty if there is no file."""
    if not path.exists():
        return []
    with open(path, newline='', encoding='utf-8-sig') as file:
        return list(csv.DictReader(file))
