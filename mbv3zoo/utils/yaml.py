"""YAML files that hold a mapping."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

# Far above any settings file. By aliases a small file can expand to a huge one, or contain itself.
_MOST_BYTES = 4 * 2**20
_MOST_VALUES = 500_000
_DEEPEST = 50


def read_mapping(path: Path) -> dict[Any, Any]:
    """Reads a YAML file of plain values; nothing in it is evaluated.

    Raises:
        ValueError: The file is not YAML, is too large, or is not a mapping.
    """
    if path.stat().st_size > _MOST_BYTES:
        raise ValueError(f'{path}: has {path.stat().st_size} bytes, expected at most {_MOST_BYTES} of settings')
    try:
        data = yaml.safe_load(path.read_text(encoding='utf-8'))
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f'{path}: not a YAML file: {error}') from error
    _check_extent(data, path)
    if not isinstance(data, dict):
        raise ValueError(f'{path}: expected a mapping of settings, given {type(data).__name__}')
    return data


def _check_extent(data: Any, path: Path) -> None:
    """Counts all values, with aliases expanded."""
    waiting, count = [(data, 0)], 0
    while waiting:
        value, depth = waiting.pop()
        count += 1
        if count > _MOST_VALUES or depth > _DEEPEST:
            raise ValueError(
                f'{path}: its lists and mappings are nested too deeply, repeat too much or hold themselves'
            )
        inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
        waiting += [(item, depth + 1) for item in inner]
