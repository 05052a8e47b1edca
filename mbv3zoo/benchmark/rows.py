"""Rows of a benchmark, and the CSV file that holds them."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from mbv3zoo.utils.atomic import atomic_write
from mbv3zoo.utils.csv import read_csv
from mbv3zoo.utils.sizes import parse_size
from mbv3zoo.utils.text import utf8

RESULTS_NAME = 'results.csv'


class Row(NamedTuple):
    """One model in one runtime, at one image size and batch size. Unknown values are None.

    Attributes:
        model: As it was asked for.
        runtime: Name of the runtime.
        size: (height, width) in pixels.
        batch: Images per call.
        ms: Milliseconds per call, for the whole batch: the median over the rounds of each block's median.
        ms_low, ms_high: 10th and 90th percentile of the blocks' medians.
        images_per_second: Images per second in such calls.
        relative: The time divided by the first model's: the median over the rounds of the ratio within a round.
        disturbed: Share of the calls, 0..1, in which a thread had to wait for a CPU; they do not count where a block
            has others. None where the system does not report it.
        peak_memory_mb: Peak resident memory, in 10^6 bytes, of a process that only opens this model and runs it.
        parameters: Number of parameters.
        gflops: 10^9 floating point operations for one image; a multiply-add counts as two.
        error: Why there are no figures; '' where there are.
    """

    model: str
    runtime: str
    size: tuple[int, int] | None
    batch: int
    ms: float | None = None
    ms_low: float | None = None
    ms_high: float | None = None
    images_per_second: float | None = None
    relative: float | None = None
    disturbed: float | None = None
    peak_memory_mb: float | None = None
    parameters: int | None = None
    gflops: float | None = None
    error: str = ''


_WHOLE = ('batch', 'parameters')
_TEXT = ('model', 'runtime', 'error')


def shown_size(size: tuple[int, int] | None) -> str:
    """(320, 640) -> '320x640'; (320, 320) -> '320'; None -> ''."""
    if size is None:
        return ''
    return str(size[0]) if size[0] == size[1] else f'{size[0]}x{size[1]}'


def write_rows(rows: Iterable[Row], path: str | Path) -> None:
    """Writes rows as CSV, atomically; unknown values are empty cells, and names that are no UTF-8 are escaped."""
    text = io.StringIO(newline='')
    writer = csv.writer(text, lineterminator='\n')
    writer.writerow(Row._fields)
    writer.writerows((row._asdict() | {'size': shown_size(row.size)}).values() for row in rows)
    atomic_write(path, utf8(text.getvalue()))


def read_rows(path: str | Path) -> list[Row]:
    """Reads what `write_rows` wrote. Columns may come in any order; unknown ones are left out.

    Raises:
        ValueError: There is no such file, or it is not a benchmark's.
    """
    path = Path(path)
    if not path.is_file():
        raise ValueError(f'{path}: no such file; expected the results.csv of a benchmark')
    columns, lines = read_csv(path)
    if missing := {*Row._fields[:5]} - {*columns}:
        raise ValueError(f'{path}: has no column {", ".join(sorted(missing))}; expected a results.csv of a benchmark')
    rows = []
    for number, cells in enumerate(lines, start=2):
        try:
            rows.append(Row._make(_read(name, cells.get(name, '')) for name in Row._fields))
        except ValueError as error:
            raise ValueError(f'{path}, line {number}: {error}') from error
    return rows


def _read(name: str, cell: str) -> str | int | float | tuple[int, int] | None:
    if name in _TEXT:
        return cell
    if not cell:
        return None
    if name == 'size':
        return parse_size(cell)
    return int(cell) if name in _WHOLE else float(cell)
