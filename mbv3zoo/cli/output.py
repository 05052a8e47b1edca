"""What the program prints; when several processes train together, only the first prints."""

from __future__ import annotations

import io
import logging
import os
import sys
import warnings
from collections.abc import Generator, Iterator

import typer

from mbv3zoo.cli.interruption import end_interrupted, is_first_process
from mbv3zoo.cli.quiet import note
from mbv3zoo.utils.log import is_quiet
from mbv3zoo.utils.text import printable


def tell(line: str) -> None:
    """Prints a line, in the first process only."""
    if is_first_process():
        typer.echo(line)


def tell_lines(lines: Iterator[str]) -> None:
    """Prints lines as they come, of which the last is the result; what --quiet keeps.

    An interruption ends them in the sentence that they have for it.
    """
    last = None
    try:
        for line in lines:
            last = line
            note(line)
        if is_quiet() and last is not None:
            typer.echo(last)
    except KeyboardInterrupt as stop:
        sentence = str(stop)
        try:
            # If it came between two lines, they do not know of it.
            if isinstance(lines, Generator):
                lines.throw(stop)
        except KeyboardInterrupt as told:
            sentence = str(told)
        end_interrupted(sentence or 'interrupted')


def make_printable() -> None:
    """Lets the terminal escape characters that its encoding lacks, where printing them would be an error."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors='backslashreplace')


def show_log() -> None:
    """Sends the package's log to the terminal, and shows warnings like it."""
    warnings.formatwarning = _warning_line
    # Our own messages only: huggingface_hub prints its own already.
    handler = _Handler()
    handler.setFormatter(logging.Formatter('%(levelname)s %(message)s'))
    logger = logging.getLogger('mbv3zoo')
    logger.addHandler(handler)
    # Log fitted anchors; only rank 0 logs.
    logger.setLevel(logging.INFO if is_first_process() else logging.ERROR)


class _Handler(logging.StreamHandler):
    """Writes lines above a progress bar, where one is drawn."""

    def emit(self, record: logging.LogRecord) -> None:
        if 'tqdm' not in sys.modules:
            return super().emit(record)
        from tqdm import tqdm

        with tqdm.external_write_mode(file=self.stream):
            super().emit(record)


def quiet_libraries() -> None:
    """Where the output is a log, bars of other libraries are not drawn; a few take no notice, and do so once a minute.

    Before tqdm is imported, which reads this when it is.
    """
    if sys.stderr is None or not sys.stderr.isatty():
        os.environ.setdefault('TQDM_DISABLE', '1')
        os.environ.setdefault('TQDM_MININTERVAL', '60')


def _warning_line(message: Warning | str, *_: object, **__: object) -> str:
    """A warning without the line of code that it came from."""
    return printable(f'WARNING {message}') + '\n'
