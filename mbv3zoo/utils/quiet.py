"""Warnings and log messages that are intended or of no use here, left out for a while."""

from __future__ import annotations

import logging
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

_lock = threading.RLock()


@contextmanager
def without_warnings(*categories: type[Warning], message: str = '') -> Iterator[None]:
    """Context manager: warnings of these categories, by default all, are not shown if their text matches.

    Filters of warnings are the whole process's. Two threads that change them for a while at the same time, as by
    `warnings.catch_warnings`, may leave one's filters there for good, so they take turns.

    Args:
        *categories: Which.
        message: Regular expression that the text begins with; by default any.
    """
    with _lock, warnings.catch_warnings():
        for category in categories or (Warning,):
            warnings.filterwarnings('ignore', message, category)
        yield


@contextmanager
def without_log(name: str, below: int = logging.ERROR) -> Iterator[None]:
    """Context manager: another library's log messages are not shown.

    Args:
        name: Name of its logger.
        below: Level of the least messages that are shown all the same.
    """
    logger = logging.getLogger(name)
    level = logger.level
    logger.setLevel(below)
    try:
        yield
    finally:
        logger.setLevel(level)


@contextmanager
def without_messages(name: str, start: str) -> Iterator[None]:
    """Context manager: another library's log messages that begin so are not shown; its others are.

    Args:
        name: Name of its logger.
        start: How the messages begin.
    """
    logger, others = logging.getLogger(name), _Others(start)
    logger.addFilter(others)
    try:
        yield
    finally:
        logger.removeFilter(others)


class _Others(logging.Filter):
    def __init__(self, start: str) -> None:
        super().__init__()
        self.start = start

    def filter(self, record: logging.LogRecord) -> bool:
        return not record.getMessage().startswith(self.start)
