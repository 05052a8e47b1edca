"""YAML files that hold a mapping."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml


def read_mapping(path: Path) -> dict[Any, Any]:
    """Reads a YAML file of plain values; nothing in it is evaluated.

    Raises:
        ValueError: The file is not YAML, or holds something else than a mapping.
    """
    try:
        data = yaml.safe_load(path.read_text(encoding='utf-8'))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f'{path}: not a YAML file: {error}') from error
    if not isinstance(data, dict):
        raise ValueError(f'{path}: expected a mapping of settings, given {type(data).__name__}')
    return data
