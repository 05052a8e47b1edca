"""The licence that a card names, in its metadata and its text, and the record of it in config.json."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from huggingface_hub import ModelCard
from yaml import YAMLError

from mbv3zoo.cards.bounds import check_card
from mbv3zoo.config.license_record import LicenseRecord
from mbv3zoo.config.tasks import KINDS
from mbv3zoo.licenses import UNKNOWN, under_license, weights_license
from mbv3zoo.saving.folder import CARD_NAME, config_bytes

_SENTENCE = re.compile(r'^The weights as a whole: [^\r\n]*', re.MULTILINE)


def card_license(card: str, source: object = CARD_NAME) -> str | None:
    """The licence that a card's metadata name, or None.

    Args:
        card: Its text.
        source: Name used in error messages.

    Raises:
        ValueError: The metadata cannot be read, or are larger than those of any card.
    """
    try:
        check_card(card)
    except (ValueError, YAMLError) as error:
        reason = ' '.join(str(error).split())
        raise ValueError(f'Invalid metadata in {source}: {reason}; correct the card') from error
    return license_of(ModelCard(card, ignore_metadata_errors=True).data.to_dict())


def license_of(metadata: Mapping[str, Any]) -> str | None:
    """The licence in a card's metadata, or None: `license`, or `license_name` where that is 'other'."""
    license = metadata.get('license')
    name = metadata.get('license_name') if license == 'other' else None
    return next((value for value in (name, license) if isinstance(value, str) and value), None)


def license_sentence(license: str) -> str:
    """The sentence under the table of licences."""
    note = ' Ask whoever made them before you pass them on, or use them commercially.' if license == UNKNOWN else ''
    return f'The weights as a whole: {license}.{note}'


def state_license(part: str, license: str) -> str:
    """The library's part of a card, with the licence that stands in the metadata."""
    shown = ' '.join(license.split()).replace('<', '&lt;')
    return _SENTENCE.sub(lambda _: license_sentence(shown), part)


def config_under(config: bytes, license: str | None) -> bytes:
    """A detector's config.json, whose record says under which licence the weights are published.

    Args:
        config: The file.
        license: The licence that its card names; None where it names none.

    Returns:
        The file; as it was where its record says the same, or it is not a detector's.
    """
    data = json.loads(config)
    settings = next((data[kind] for kind in KINDS.values() if kind in data), None) if isinstance(data, dict) else None
    if license is None or not isinstance(settings, dict):
        return config
    record = LicenseRecord.parse(settings.get('licenses') or {}, 'config.json')
    published = under_license(record, license)
    if published == record:
        return config
    settings['licenses'] = published.model_dump(mode='json')
    if isinstance(data.get('pretrained_cfg'), dict):
        data['pretrained_cfg']['license'] = weights_license(published)
    return config_bytes(data)
