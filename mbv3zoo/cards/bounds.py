"""Bounds of a model card, which may come from anyone's repository, before its metadata are parsed."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from mbv3zoo.utils.extent import DEEPEST
from mbv3zoo.utils.text import read_bytes

# Bytes of a card, and of the metadata at its top; the library's own cards have some thousand.
CARD_LIMIT = 2**20
METADATA_LIMIT = 2**16
# Where huggingface_hub looks for metadata.
_METADATA = re.compile(r'\s*---(?:\r\n|\r|\n)(.*?)(?:\r\n|\r|\n)---', re.DOTALL)


def read_card(path: Path) -> str:
    """The text of a card.

    Raises:
        ValueError: It is larger than any, or not UTF-8.
    """
    return read_bytes(path, CARD_LIMIT, 'a card').decode('utf-8-sig')


def has_metadata(text: str) -> bool:
    """Whether metadata stand at the top of a card."""
    return _METADATA.match(text) is not None


def check_card(text: str) -> None:
    """Raises ValueError where a card or its metadata are larger than any; the message goes behind the card's name."""
    if len(text) > CARD_LIMIT:
        raise ValueError(f'it has {len(text)} characters, expected at most {CARD_LIMIT}; shorten it')
    found = _METADATA.match(text)
    if found is None:
        return
    if len(found[1]) > METADATA_LIMIT:
        raise ValueError(
            f'its metadata have {len(found[1])} characters, expected at most {METADATA_LIMIT}; shorten them'
        )
    depth = 0
    for event in yaml.parse(found[1], yaml.SafeLoader):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > DEEPEST:
            raise ValueError(f'its metadata are nested more than {DEEPEST} deep')
        # By merging, a short text stands for values without end.
        if isinstance(event, yaml.ScalarEvent) and event.value == '<<':
            raise ValueError('its metadata merge mappings (<<), which no card needs; write them out')
