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
    """Adds an epoch's line; lines of this epoch and later ones, which a lost run has left, go."""
    rows = [old for old in read_epochs(path) if int(old['epoch']) < int(row['epoch'])]
    text = io.StringIO(newline='')
    # Columns that only older lines have stay, empty from here on.
    columns = list(dict.fromkeys([*row, *(key for old in rows for key in old)]))
    writer = csv.DictWriter(text, columns, restval='', lineterminator='\n')
    writer.writeheader()
    writer.writerows([*rows, row])
    atomic_write(path, text.getvalue().encode('utf-8'))


def read_epochs(path: Path) -> list[dict[str, str]]:
    """The lines, the first epoch first; none where there is no file."""
    if not path.exists():
        return []
    with open(path, newline='', encoding='utf-8') as file:
        return list(csv.DictReader(file))
