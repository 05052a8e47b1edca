"""The package's log."""

from __future__ import annotations

import logging


def is_quiet() -> bool:
    """Whether the log of the package is set to warnings and errors alone; then no progress is shown either.

    `logging.getLogger('mbv3zoo').setLevel(logging.WARNING)` does so, as does the program's --quiet.
    """
    return logging.getLogger('mbv3zoo').level > logging.INFO
