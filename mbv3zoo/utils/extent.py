"""How large nested values are: the bound on depth and count that all settings share."""

from __future__ import annotations

from typing import Any

# Levels of lists and mappings; a layer list has five, a configuration as many.
DEEPEST = 20


def check_extent(data: Any, most: int, deepest: int = DEEPEST) -> None:
    """Counts all values, each as often as it stands there.

    Args:
        data: Lists and dicts of plain values.
        most: Most values.
        deepest: Most levels.

    Raises:
        ValueError: There are more; the message goes behind the name of the file.
    """
    waiting, count = [(data, 0)], 0
    while waiting:
        value, depth = waiting.pop()
        inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
        count += 1
        if count > most or len(inner) > most or depth > deepest:
            raise ValueError(too_much(most, deepest))
        waiting += [(item, depth + 1) for item in inner]


def too_much(most: int, deepest: int = DEEPEST) -> str:
    """What is wrong with settings that are larger; goes behind the name of the file."""
    return f'its lists and mappings have more than {most} values (repeated ones count), or more than {deepest} levels'
