"""What the program prints; when several processes train together, only the first prints."""

from __future__ import annotations

import logging
import os

import typer


def tell(line: str) -> None:
    """Prints a line, in the first process only."""
    if is_first_process():
        typer.echo(line)


def is_first_process() -> bool:
    """Whether this is the process of rank 0, as torchrun and accelerate count."""
    return os.environ.get('RANK', '0') == '0'


def show_log() -> None:
    """Sends the package's log to the terminal."""
    # Our own messages only: huggingface_hub prints its own already.
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter('%(levelname)s %(message)s'))
    logger = logging.getLogger('mbv3zoo')
    logger.addHandler(handler)
    # Log fitted anchors; only rank 0 logs.
    logger.setLevel(logging.INFO if is_first_process() else logging.ERROR)
