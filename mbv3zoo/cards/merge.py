"""Updating a published model card: the library's part is replaced, what people wrote stays."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import yaml
from huggingface_hub import RepoCard

from mbv3zoo.cards.bounds import check_card

BEGIN = '<!-- mbv3zoo:begin -->'
END = '<!-- mbv3zoo:end -->'

# True of the weights that are pushed, whatever stood there before. All other values are the repository's once it has
# them: people correct a licence or add a language there.
_OWNED = ('library_name', 'pipeline_tag', 'model-index')
# These two say more about `license`, so they come with it.
_LICENSE_DETAILS = ('license_name', 'license_link')


def merge_card(old: str, new: str) -> str:
    """Replaces the library's part of a card.

    The library's text is between the lines `BEGIN` and `END`; all other text was written by people and stays.
    Paragraphs that people wrote into `new` are appended, unless `old` has them. A card without the two lines was
    written entirely by hand: of an old one only the metadata is updated, a new one replaces the library's part.
    Metadata: `library_name`, `pipeline_tag` and `model-index` are taken from `new`, `tags` are joined, all other keys
    keep their value in `old`.

    Args:
        old: README.md in the repository.
        new: README.md to publish. Merging it again changes nothing.

    Returns:
        The card to publish.

    Raises:
        ValueError: The metadata of one of them cannot be read.
    """
    old_card, new_card = _parse(old, 'the repository'), _parse(new, 'the folder')
    old_data, new_data = old_card.data.to_dict(), new_card.data.to_dict()
    data = _merge_data(old_data, new_data)
    text = _merge_text(old_card.text, new_card.text)
    if data == old_data:
        # As it was written: with its comments and its order.
        return old.removesuffix(old_card.text) + text
    old_card.data.__dict__.clear()
    old_card.data.__dict__.update(data)
    old_card.text = text
    return str(old_card)


def edit_library_part(card: str, edit: Callable[[str], str]) -> str:
    """Applies a function to the library's part of a card; a card that was written entirely by hand is not changed."""
    parts = _split(card)
    return card if parts is None else parts[0] + edit(parts[1]) + parts[2]


def _parse(content: str, whose: str) -> RepoCard:
    try:
        check_card(content)
        return RepoCard(content)
    except (yaml.YAMLError, ValueError, TypeError) as error:
        raise ValueError(
            f'Invalid metadata in README.md of {whose}: expected YAML between lines of ---. Correct it there. {error}'
        ) from error


def _merge_data(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    data = {key: new.get(key) if key in _OWNED else value for key, value in old.items()}
    added = {key: value for key, value in new.items() if key not in data}
    if 'license' in old:
        added = {key: value for key, value in added.items() if key not in _LICENSE_DETAILS}
    data |= added
    if 'tags' in old and 'tags' in new:
        data['tags'] = list(dict.fromkeys([*_listed(old['tags']), *_listed(new['tags'])]))
    return {key: value for key, value in data.items() if value is not None}


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _merge_text(old: str, new: str) -> str:
    old_parts, new_parts = _split(old), _split(new)
    if old_parts is None:
        return old if old.strip() else new
    before, _, after = old_parts
    if new_parts is None:
        # A card written by hand takes the place of the library's. What else stood on the Hub is kept below it.
        return _append(new, _paragraphs(before) + _paragraphs(after))
    return _append(before + new_parts[1] + after, _paragraphs(new_parts[0]) + _paragraphs(new_parts[2]))


def _split(text: str) -> tuple[str, str, str] | None:
    """Text before, in (with the markers) and after the library's part; None unless there is exactly one."""
    begin, end = text.find(BEGIN), text.find(END)
    if text.count(BEGIN) != 1 or text.count(END) != 1 or end < begin:
        return None
    end += len(END)
    return text[:begin], text[begin:end], text[end:]


def _paragraphs(text: str) -> list[str]:
    return [paragraph.strip() for paragraph in re.split(r'\n\s*\n', text) if paragraph.strip()]


def _append(text: str, paragraphs: list[str]) -> str:
    present = set(_paragraphs(text))
    missing = [paragraph for paragraph in paragraphs if paragraph not in present]
    return '\n\n'.join([text.rstrip('\n'), *missing]) + '\n' if missing else text
