"""The progress bar."""

from __future__ import annotations

from collections.abc import Iterable

from tqdm import tqdm


def bar(total: int | Iterable | None, description: str, show: bool = True) -> tqdm:
    """A progress bar with a total (call `update`), or over an iterable; it is removed when done."""
    what = {'total': total} if isinstance(total, int) else {'iterable': total}
    return tqdm(**what, desc=description, leave=False, dynamic_ncols=True, disable=not show)
