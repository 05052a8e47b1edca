"""What a detector was made from, as the metadata of its card name it; and read from the table in a card."""

from __future__ import annotations

import re
from contextlib import suppress
from typing import Any

from huggingface_hub.errors import HFValidationError
from huggingface_hub.utils import validate_repo_id

from mbv3zoo.config.license_record import LicensedPart, LicenseRecord
from mbv3zoo.licenses import NO_WEIGHTS, derived_license, hub_license

# The heading and the rows of the table; `mbv3zoo.licenses.license_rows` gives the parts their names.
HEADING = '## Licences'
_ROW = re.compile(r'^\| (backbone weights|imported weights|data) \| (\S+) \| (.*) \|$', re.MULTILINE)
_TITLE = re.compile(r'^# (.*)$', re.MULTILINE)
_DATA = re.compile(r'^\| data \| (.*) \|$', re.MULTILINE)


def metadata_of(record: LicenseRecord, dataset: str = '') -> dict[str, Any]:
    """The metadata that follow from what a detector was made from: `base_model`, `datasets`, `license`, `license_name`.

    Args:
        record: What it was made from.
        dataset: Dataset that it was evaluated on.

    Returns:
        The values that there are; `license` is the one that follows from the parts, whatever else was named.
    """
    license, license_name = hub_license(derived_license(record))
    found = {
        'base_model': base_models(record),
        'datasets': datasets(record, dataset),
        'license': license,
        'license_name': license_name,
    }
    return {key: value for key, value in found.items() if value}


def base_models(record: LicenseRecord) -> list[str]:
    """The repositories on the Hub of the weights that a detector was made from."""
    parts = (record.backbone, record.imported)
    return [part.source for part in parts if part.license != NO_WEIGHTS.license and is_hub_id(part.source)]


def datasets(record: LicenseRecord, dataset: str = '') -> list[str]:
    """The datasets on the Hub that a detector was trained and evaluated on."""
    names = dict.fromkeys([*(part.source for part in record.data), dataset])
    return [name for name in names if is_hub_id(name)]


def written_metadata(part: str) -> dict[str, Any]:
    """The metadata that the library wrote together with its part of a card, by the tables there.

    Args:
        part: The library's part, which anyone may have edited.
    """
    above, _, table = part.replace('\r\n', '\n').partition(f'\n{HEADING}\n')
    rows: list[tuple[str, LicensedPart]] = []
    for name, license, source in _ROW.findall(table):
        with suppress(ValueError):
            rows.append((name, LicensedPart(license=license, source=source)))
    title = _TITLE.search(above)
    # Earlier versions wrote the title there as well.
    written: dict[str, Any] = {'model_name': title[1]} if title else {}
    if not table:
        return written
    parts = dict(rows)
    record = LicenseRecord(
        backbone=parts.get('backbone weights', NO_WEIGHTS),
        imported=parts.get('imported weights', NO_WEIGHTS),
        data=tuple([part for name, part in rows if name == 'data'][:100]),
    )
    data = _DATA.search(above)
    return metadata_of(record, data[1] if data else '') | written


def is_repo_name(name: str) -> bool:
    """Whether a text could be the name of a repository, with or without an organisation."""
    try:
        validate_repo_id(name)
    except HFValidationError:
        return False
    return True


def is_hub_id(name: str) -> bool:
    """Whether a text is an id on the Hub, 'organisation/name'."""
    return name.count('/') == 1 and is_repo_name(name)
