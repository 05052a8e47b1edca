"""The certificate beside an exported file, as the JSON that it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mbv3zoo.utils.atomic import current
from mbv3zoo.utils.json import SETTINGS_LIMIT, parse_settings
from mbv3zoo.utils.text import read_text


def certificate_path(path: str | Path) -> Path:
    """Path of a file's certificate."""
    path = Path(path)
    return path.with_name(f'{path.name}.json')


def read_certificate_data(path: Path) -> Any:
    """What the certificate of a file says, as it stands there; None where there is no certificate.

    Raises:
        ValueError: It is damaged.
    """
    place = current(certificate_path(path))
    if not place.is_file():
        return None
    text = read_text(place, SETTINGS_LIMIT, 'settings')
    try:
        return parse_settings(text)
    except ValueError as error:
        message = f'{place}: expected the certificate of an exported detector, but it is not JSON: {error}'
        raise ValueError(message) from error
