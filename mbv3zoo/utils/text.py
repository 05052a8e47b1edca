"""Texts for people: tables, cut lines, the nearest of known names."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """A line for each row, its columns aligned on the left; no rows, no lines."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ['  '.join(map(str.ljust, row, widths)).rstrip() for row in rows]


def one_line(text: str, most: int) -> str:
    """A text on one line of at most `most` characters; what is cut off is shown as '...'."""
    line = ' '.join(text.split())
    return line if len(line) <= most else f'{line[: most - 3]}...'


def nearest(name: str, known: Iterable[str], otherwise: str) -> str:
    """What an error says about an unknown name: up to three known names that are like it, or `otherwise`."""
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    return f'did you mean {", ".join(near)}?' if near else otherwise
