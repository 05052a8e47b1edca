"""What a number, a flag, an id, a box, an area and a class name are in a label: one answer for all readers."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mbv3zoo.config.types import class_name
from mbv3zoo.utils.text import read_text, shown

# Bytes of one image's label file; bytes and lines of a text file of paths or names.
LABELS_LIMIT = 4 * 2**20
LIST_LIMIT = 200 * 2**20
MOST_LISTED = 2_000_000
_FLAGS = {'0': False, 'false': False, '': False, 'none': False, '1': True, 'true': True}


def read_list(path: Path) -> list[str]:
    """The lines of a text file of paths or names that are not empty.

    Raises:
        ValueError: It has more bytes than `LIST_LIMIT`, more lines than `MOST_LISTED`, or is not text in UTF-8.
    """
    text = read_text(path, LIST_LIMIT, 'paths')
    if (count := text.count('\n') + 1) > MOST_LISTED:
        raise ValueError(f'{path}: has {count} lines, expected at most {MOST_LISTED}; split it into several files')
    return [row for row in text.split('\n') if row.strip()]


def as_number(value: Any) -> float:
    """A number; may be NaN or infinite.

    Raises:
        ValueError: It is something else, such as a truth value or a text, or has too many digits.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueError(f'{shown(value)} is not a number')
    try:
        return float(value)
    except OverflowError:
        raise ValueError(f'{shown(value)} is too large a number') from None


def as_box(value: Any, name: str = 'bbox') -> tuple[float, float, float, float]:
    """Four numbers: x, y, width, height.

    Raises:
        ValueError: It is something else.
    """
    try:
        x, y, width, height = [as_number(each) for each in value] if isinstance(value, (list, tuple)) else []
    except ValueError:
        raise ValueError(f'{name} {shown(value)} is not [x, y, width, height]') from None
    return x, y, width, height


def as_flag(value: Any, name: str) -> bool:
    """0 or 1, or true or false, also as text; nothing at all is false.

    Raises:
        ValueError: It is something else.
    """
    text = str(value).strip().lower() if isinstance(value, (bool, int, float, str, type(None))) else '?'
    # Of a data frame, where a column with gaps holds floats.
    found = _FLAGS.get(text.removesuffix('.0'))
    if found is None:
        raise ValueError(f'{name} {shown(value)} is neither 0 nor 1')
    return found


def as_id(value: Any) -> int | str | None:
    """A whole number or a text; None for all else, which is no id."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value if isinstance(value, (int, str)) and not isinstance(value, bool) else None


def as_side(value: Any) -> float:
    """The width or height that a label file states for an image, in pixels, as number or text; 0 if it states none.

    Raises:
        ValueError: It is something else.
    """
    if value is None:
        return 0.0
    try:
        side = float(value or 0) if isinstance(value, str) else as_number(value)
    except ValueError:
        side = math.nan
    if not 0 <= side < math.inf:
        raise ValueError(f'{shown(value)} is not a size in pixels')
    return side


def check_class_names(names: Sequence[str], source: Any) -> tuple[str, ...]:
    """The names, if there are any, and each is one line of text and there once.

    Raises:
        ValueError: They are not.
    """
    if not names:
        raise ValueError(f'{source}: it names no class')
    for name in names:
        if not is_class_name(name):
            raise ValueError(f'{source}: class name {shown(name)} is not one line of text')
    twice = [name for name, times in Counter(names).items() if times > 1]
    if twice:
        raise ValueError(f'{source}: each class must have a name of its own; {shown(twice)} are there more than once')
    return tuple(names)


def is_class_name(name: str) -> bool:
    """Whether a text can name a class: one line of any script, not only spaces."""
    try:
        class_name(name)
    except ValueError:
        return False
    return True
