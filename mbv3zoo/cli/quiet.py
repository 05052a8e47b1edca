"""What --quiet leaves out."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import typer

from mbv3zoo.utils.environment import environment
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
    level = logger.level
    if quiet:
        logger.setLevel(max(level, logging.WARNING))
    try:
        with environment(**dict.fromkeys(_NO_BARS if quiet else (), '1')):
            yield
    finally:
        logger.setLevel(level)
