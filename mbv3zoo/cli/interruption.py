"""Ctrl-C, and the signals by which systems end a program: one line, and the exit status that shells expect."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

import typer

from mbv3zoo.utils.text import printable

_received: list[int] = []


def end_on_signals() -> None:
    """Lets SIGTERM and SIGHUP end a command as Ctrl-C does, so that it says what is kept, and removes the rest.

    One that is ignored, as by `nohup`, stays ignored.
    """
    if threading.current_thread() is not threading.main_thread():
        return  # only there can Python take signals
    for name in ('SIGINT', 'SIGTERM', 'SIGHUP'):
        number = getattr(signal, name, None)  # Windows has no SIGHUP
        if number is not None and signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler):
            signal.signal(number, _interrupt)


@contextmanager
def told_in_one_line(command: str | None) -> Iterator[None]:
    """Context manager: an interruption ends the command in one line, without a traceback.

    Args:
        command: Its name, for those that have no sentence of their own.
    """
    try:
        yield
    except (KeyboardInterrupt, ImportError) as stop:
        # Some packages make it an ImportError if they are just being imported.
        if isinstance(stop, ImportError) and not _received:
            raise
        said = str(stop) if isinstance(stop, KeyboardInterrupt) else ''
        end_interrupted(said or f'{command} was interrupted')


def end_interrupted(sentence: str) -> NoReturn:
    """Prints a sentence, in the first process only, and ends the program with the status of the signal.

    Raises:
        typer.Exit: Always.
    """
    if is_first_process():
        typer.echo(printable(f'mbv3zoo: {sentence}'), err=True)
    status = 128 + (_received[0] if _received else signal.SIGINT)
    raise typer.Exit(status) from None


def is_first_process() -> bool:
    """Whether this is the process of rank 0, as torchrun and accelerate count."""
    return os.environ.get('RANK', '0') == '0'


def _interrupt(number: int, _: FrameType | None) -> None:
    _received.append(number)
    raise KeyboardInterrupt
