"""Rows of the tables that describe detectors."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from mbv3zoo import licenses
from mbv3zoo.config.license_record import LicenseRecord

# Most classes that are named.
_MOST_NAMED = 20


def table(rows: Iterable[tuple[str, str]]) -> str:
    """Names and values in two columns; further lines of a value begin in the second."""
    rows = list(rows)
    width = max(len(key) for key, _ in rows)
    return '\n'.join(f'{key:{width}}  ' + value.replace('\n', f'\n{"":{width}}  ') for key, value in rows)


def classes_row(names: Sequence[str]) -> str:
    """The number of classes, and the names of the first ones."""
    return f'{len(names)}: {", ".join(names[:_MOST_NAMED])}' + (', ...' if len(names) > _MOST_NAMED else '')


def license_rows(record: LicenseRecord) -> list[tuple[str, str]]:
    """The licence of the weights as a whole, and of each part."""
    parts = [
        (f'  {part}', f'{license}, {source}' if source else license)
        for part, license, source in licenses.license_rows(record)
    ]
    return [('licence', f'{licenses.weights_license(record)} (the weights as a whole)'), *parts]
