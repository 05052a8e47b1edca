"""The standard streams of the program, also where they are closed, or lead to a full disk."""

from __future__ import annotations

import errno
import io
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from mbv3zoo.utils.disk import told, why


def guard_streams() -> None:
    """Lets an output that cannot be written end the program in a sentence; messages that cannot be are dropped.

    A stream that was closed leads to nowhere: otherwise the next file that is opened would get its number.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest free number, which is this one
    sys.stdout = sys.stdout or open(1, 'w', encoding='utf-8', closefd=False)  # noqa: SIM115
    sys.stderr = sys.stderr or open(2, 'w', encoding='utf-8', closefd=False)  # noqa: SIM115
    for stream, guarded in ((sys.stdout, _told), (sys.stderr, _dropped)):
        if isinstance(stream, io.TextIOWrapper):
            for name in ('write', 'flush'):
                setattr(stream, name, guarded(getattr(stream, name)))


def drop_unwritten() -> None:
    """Drops output that cannot be written: Python would try again when it ends, and print a traceback."""
    try:
        sys.stdout.flush()
    except OSError:
        with open(os.devnull, 'wb') as nowhere:
            os.dup2(nowhere.fileno(), sys.stdout.fileno())


def _told(call: Callable[..., Any]) -> Callable[..., Any]:
    def guarded(*arguments: Any) -> Any:
        try:
            return call(*arguments)
        except OSError as error:
            if error.errno == errno.EPIPE:  # its reader has seen enough; typer ends the program
                raise
            reason = why(error, instead='send it somewhere else')
            raise told(error, f'could not write to the standard output: {reason}') from error

    return guarded


def _dropped(call: Callable[..., Any]) -> Callable[..., Any]:
    def guarded(*arguments: Any) -> Any:
        with suppress(OSError):
            return call(*arguments)

    return guarded
