"""The report of a benchmark: a text table with facts on the machine, the rows as CSV, a plot."""

from __future__ import annotations

import platform
from collections.abc import Callable, Sequence
from pathlib import Path

from mbv3zoo.benchmark.rows import RESULTS_NAME, Row, shown_size, write_rows
from mbv3zoo.runtimes.table import LIVE_FORMATS, RUNTIMES
from mbv3zoo.utils.atomic import staged
from mbv3zoo.utils.cores import cpu_name, usable_cores
from mbv3zoo.utils.disk import make_folder
from mbv3zoo.utils.folders import check_new_folder
from mbv3zoo.utils.packages import installed_version
from mbv3zoo.utils.text import aligned, utf8
from mbv3zoo.version import __version__

PICTURE_NAME, TABLE_NAME = 'latency.png', 'results.txt'
_PACKAGES = ('torch', *(RUNTIMES[name].package for name in LIVE_FORMATS))

# Heading -> a row's text. A column that is empty in all rows is left out.
_COLUMNS: dict[str, Callable[[Row], str]] = {
    'model': lambda row: row.model,
    'runtime': lambda row: row.runtime,
    'size': lambda row: shown_size(row.size),
    'batch': lambda row: str(row.batch),
    'ms': lambda row: _number(row.ms, 2),
    '10-90%': lambda row: '' if row.ms is None else f'{row.ms_low:.2f}-{row.ms_high:.2f}',
    'relative': lambda row: _number(row.relative, 3),
    'images/s': lambda row: _number(row.images_per_second, 1),
    'disturbed': lambda row: '' if row.disturbed is None else f'{row.disturbed:.0%}',
    'memory MB': lambda row: _number(row.peak_memory_mb, 0),
    'parameters': lambda row: '' if row.parameters is None else f'{row.parameters / 1e6:.2f} M',
    'GFLOPs': lambda row: _number(row.gflops, 2),
    'error': lambda row: row.error,
}


def format_rows(rows: Sequence[Row]) -> str:
    """Rows as a text table; unknown values are '-'."""
    columns = {heading: [show(row) for row in rows] for heading, show in _COLUMNS.items()}
    columns = {heading: cells for heading, cells in columns.items() if any(cells)}
    lines = [[*columns], *([cell or '-' for cell in cells] for cells in zip(*columns.values(), strict=True))]
    if 'error' in columns:
        # The last column; no dashes under it.
        lines[1:] = [[*cells[:-1], row.error] for cells, row in zip(lines[1:], rows, strict=True)]
    return '\n'.join(aligned(lines))


class Rows(list[Row]):
    """The rows of a benchmark: a list that `print` shows as a table."""

    def __str__(self) -> str:
        return format_rows(self)


def describe_machine(threads: int | None = None, command: str = '') -> str:
    """What figures were measured on, one fact per line.

    Args:
        threads: As for `mbv3zoo.run_benchmark`.
        command: The command that measured them.
    """
    facts = {
        'command': command,
        'CPU': f'{cpu_name()}, {usable_cores()} cores',
        'threads': str(threads) if threads else "each runtime's own choice",
        'versions': ', '.join(
            [f'mbv3zoo {__version__}', *(f'{name} {installed_version(name) or "not installed"}' for name in _PACKAGES)]
        ),
        'system': f'{platform.platform()}, Python {platform.python_version()}',
    }
    return '\n'.join(aligned([(name, fact) for name, fact in facts.items() if fact]))


def write_report(rows: Sequence[Row], folder: str | Path, *, threads: int | None = None, command: str = '') -> str:
    """Writes results.txt, results.csv and latency.png into a new folder.

    Args:
        rows: As from `mbv3zoo.run_benchmark`.
        folder: Must not exist yet, or be empty.
        threads, command: As for `describe_machine`.

    Returns:
        The text of results.txt.

    Raises:
        ValueError: The folder is in use.
    """
    from mbv3zoo.benchmark.picture import draw_latency

    folder = Path(folder)
    check_new_folder(folder)
    make_folder(folder)
    text = f'{describe_machine(threads, command)}\n\n{format_rows(rows)}\n'
    with staged(folder, TABLE_NAME) as place:
        write_rows(rows, place / RESULTS_NAME)
        (place / TABLE_NAME).write_bytes(utf8(text))
        draw_latency(rows, place / PICTURE_NAME)
    return text


def _number(value: float | None, digits: int) -> str:
    return '' if value is None else f'{value:.{digits}f}'
