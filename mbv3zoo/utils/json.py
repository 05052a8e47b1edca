"""JSON that others wrote: bounded before it is read, and what is wrong with it in words."""

from __future__ import annotations

import json
from typing import Any

from mbv3zoo.utils.extent import check_extent
from mbv3zoo.utils.text import shown

# Bytes and values of a file of settings; 65,536 class names of a hundred letters fit. Files of data have other bounds.
SETTINGS_LIMIT = 8 * 2**20
SETTINGS_VALUES = 500_000


def parse_settings(text: str) -> Any:
    """JSON settings: a configuration, a certificate, the record in an exported file.

    Raises:
        ValueError: It is not JSON, too large or nested too deeply; a key stands twice; or a number is none. The message
            goes behind the name of the file.
    """
    if len(text) > SETTINGS_LIMIT:
        raise ValueError(f'it has {len(text)} characters, expected at most {SETTINGS_LIMIT} of settings')
    data = parse_json(text, strict=True)
    check_extent(data, SETTINGS_VALUES)
    return data


def parse_json(text: str, strict: bool = False) -> Any:
    """The value of a JSON text, of any size.

    Args:
        text: The text.
        strict: Whether a key that stands twice and NaN are errors.

    Raises:
        ValueError: It is not JSON; the message goes behind the name of the file.
    """
    hooks: dict[str, Any] = {'object_pairs_hook': _once, 'parse_constant': _refuse} if strict else {}
    try:
        return json.loads(text, **hooks)
    except RecursionError as error:
        raise ValueError('its lists and mappings are nested too deeply') from error
    except ValueError as error:
        if 'integer string conversion' in str(error):
            raise ValueError('a number in it has thousands of digits') from error
        raise


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise ValueError(f'the key {shown(twice)} stands twice; remove one')
    return found


def _refuse(name: str) -> None:
    raise ValueError(f'{name} is no number of JSON')
