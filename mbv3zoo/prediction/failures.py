"""What ends a prediction of many images early, in a sentence that says what is left."""

from __future__ import annotations

from pathlib import Path

from mbv3zoo.utils.disk import is_told
from mbv3zoo.utils.text import one_line, printable

_LONGEST = 300


class PredictionStopped(RuntimeError):
    """The disk, the detector or something else failed midway; what was found before is written."""


def reason(error: BaseException) -> str:
    """Why something failed, in one line."""
    if isinstance(error, KeyboardInterrupt):
        return 'interrupted'
    if isinstance(error, OSError) and is_told(error):
        return one_line(printable(str(error)), _LONGEST)
    if isinstance(error, OSError) and error.strerror:
        named = '' if error.filename is None else f': {error.filename}'
        return one_line(printable(f'{error.strerror}{named}'), _LONGEST)
    kind = '' if isinstance(error, (ValueError, ImportError)) else type(error).__name__
    text = printable(one_line(str(error), _LONGEST))
    return one_line(': '.join(filter(None, (kind, text))) or type(error).__name__, _LONGEST)


def stopped(folder: Path, file: str, done: int, total: int, error: BaseException) -> str:
    """The sentence for a prediction that ended early.

    Args:
        folder: Where the results are.
        file: Name of the file with the rows.
        done: Images whose rows are in it.
        total: Images there were.
        error: What ended it.
    """
    kept = f'{file} has the {"row of the one" if done == 1 else f"rows of the {done}"}' if done else 'nothing is kept'
    return f'{printable(str(folder))}: stopped after {done} of {total} images: {reason(error)}; {kept}'
