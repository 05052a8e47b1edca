"""Text output: tables, shortened lines, suggestions for misspelt names."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """One line per row, columns left-aligned."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ['  '.join(map(str.ljust, row, widths)).rstrip() for row in rows]


def one_line(text: str, most: int) -> str:
    """A text on one line of at most `most` characters; cut text ends in '...'."""
    line = ' '.join(text.split())
    return line if len(line) <= most else f'{line[: most - 3]}...'


def nearest(name: str, known: Iterable[str], otherwise: str) -> str:
    """A hint for an unknown name in an error message: up to three similar known names, or `otherwise`."""
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    return f'did you mean {", ".join(near)}?' if near else otherwise
