"""CSV files: results of trainings and benchmarks."""

from __future__ import annotations

import csv
from pathlib import Path

from mbv3zoo.utils.text import read_text

# Bytes; ten thousand epochs take three million.
CSV_LIMIT = 4 * 2**20


def read_csv(path: Path) -> tuple[list[str], list[dict[str, str]]]:
    """Columns and lines of a CSV file. Cells that a line lacks are ''; those without a column are left out.

    Raises:
        ValueError: It has more than `CSV_LIMIT` bytes, is not text in UTF-8, or has cells of more than 131,072 letters.
    """
    reader = csv.DictReader(read_text(path, CSV_LIMIT, 'rows').splitlines(keepends=True), restkey='', restval='')
    try:
        rows = list(reader)
    except csv.Error as error:
        raise ValueError(f'{path}: not a CSV file: {error}') from error
    for row in rows:
        row.pop('', None)
    return [name for name in reader.fieldnames or () if name], rows
