"""What --quiet leaves out."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager

import typer

from mbv3zoo.utils.log import is_quiet

# Of tqdm, which reads it when it is imported, and of huggingface_hub.
_NO_BARS = 'TQDM_DISABLE', 'HF_HUB_DISABLE_PROGRESS_BARS'


def note(line: str) -> None:
    """Prints a line that is not the result of the command: --quiet leaves it out."""
    if not is_quiet():
        typer.echo(line)


@contextmanager
def quieted(quiet: bool) -> Iterator[None]:
    """A command with --quiet: neither bars, of this package and of others, nor notes; warnings stay."""
    logger = logging.getLogger('mbv3zoo')
    level, environment = logger.level, {name: os.environ.get(name) for name in _NO_BARS}
    if quiet:
        logger.setLevel(max(level, logging.WARNING))
        os.environ |= dict.fromkeys(_NO_BARS, '1')
    try:
        yield
    finally:
        logger.setLevel(level)
        for name, value in environment.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
