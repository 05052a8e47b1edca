"""The one progress bar."""

from __future__ import annotations

from collections.abc import Iterable

from tqdm import tqdm


def bar(total: int | Iterable, description: str, show: bool = True) -> tqdm:
    """A bar over a number of things (call `update`), or over an iterable; it vanishes when done."""
    what = {'total': total} if isinstance(total, int) else {'iterable': total}
    return tqdm(**what, desc=description, leave=False, dynamic_ncols=True, disable=not show)
