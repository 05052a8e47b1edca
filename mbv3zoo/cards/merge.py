"""Updating a model card: what the library wrote is renewed with the weights, what people wrote stays."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import yaml
from huggingface_hub import RepoCard

from mbv3zoo.cards.bounds import check_card
from mbv3zoo.cards.license import license_of, state_license
from mbv3zoo.cards.mark import find_mark, mark_line
from mbv3zoo.cards.metadata import explicit_license, merge_metadata
from mbv3zoo.cards.sources import HEADING, metadata_of, written_metadata
from mbv3zoo.config.license_record import LicenseRecord
from mbv3zoo.saving.folder import PICTURE_NAME

BEGIN = '<!-- mbv3zoo:begin -->'
END = '<!-- mbv3zoo:end -->'

_FIGURES = 'model-index'
# How the card shows the picture of predictions.
PICTURE = f'({PICTURE_NAME})'
# How the line begins that names the classes.
CLASSES = ('An object detector for ', 'A semantic segmenter for ')
_CLASSES_LINE = re.compile(rf'^(?:{"|".join(CLASSES)}).*$', re.MULTILINE)
# What the library says of weights of which it does not know how they were made.
_MADE_HERE = 'Made with `mbv3zoo.create_'
# The section about what a detector was made from.
_SOURCES = re.compile(rf'(?s)^{HEADING}\n.*?(?=\nMade with `)', re.MULTILINE)


def merge_card(
    old: str,
    new: str,
    *,
    same_weights: bool | None = None,
    before: LicenseRecord | None = None,
    license: str | None = None,
) -> str:
    """Renews what the library wrote in a card.

    The library's text is between the lines `BEGIN` and `END`; all other text was written by people and stays.
    Paragraphs that people wrote into `new` are appended, unless `old` has them. A card without the two lines was
    written entirely by hand: of an old one only the metadata is updated, a new one replaces the library's part.
    If both are about the same weights, the figures and the text of `old` stay, unless `new` has its own.
    The metadata that the library writes are taken from `new`, except where a person corrected them; `tags` are joined,
    and all other keys keep their value in `old`.

    Args:
        old: README.md that is there.
        new: README.md for the weights. Merging it again changes nothing.
        same_weights: Whether both are about the same weights; None compares the digests in their text.
        before: The record of the weights that `old` is about, by which the library's metadata are known in a card that
            was written by hand.
        license: A licence that was given explicitly: it counts, whatever stands in `old`.

    Returns:
        The card to write.

    Raises:
        ValueError: The metadata of one of them cannot be read.
    """
    old_card, new_card = _parse(old, 'the repository'), _parse(new, 'the folder')
    old_data, new_data = old_card.data.to_dict(), new_card.data.to_dict()
    old_part, new_part = library_part(old_card.text), library_part(new_card.text)
    if same_weights is None:
        mark = find_mark(old_part)
        same_weights = mark is not None and mark == find_mark(new_part)
    new_text = new_card.text
    if same_weights and _says_less(new_data, new_part, old_data):
        new_data = {**new_data, _FIGURES: old_data.get(_FIGURES)}
        if old_part and new_part:
            kept = _with_sources(old_part, new_part)
            new_text = new_text.replace(new_part, kept)
            # Its dataset is the one that the figures were measured on.
            new_data['datasets'] = written_metadata(kept).get('datasets')
    written = written_metadata(old_part) if old_part else metadata_of(before) if before else {}
    data = merge_metadata(old_data, new_data, written, license)
    text = _stating(data, _merge_text(old_card.text, new_text))
    if data == old_data:
        # As it was written: with its comments and its order.
        return old.removesuffix(old_card.text) + text
    return _with_data(old_card, data, text)


def with_license(card: str, license: str | None = None) -> str:
    """A card under a licence: in its metadata, and in the library's part of its text.

    Args:
        card: README.md.
        license: A licence id; None states the one in the metadata in the text as well.

    Raises:
        ValueError: The metadata cannot be read.
    """
    parsed = _parse(card, 'the folder')
    old = parsed.data.to_dict()
    given = {} if license is None else explicit_license(old, license)
    data = {key: value for key, value in {**old, **given}.items() if value is not None}
    text = _stating(data, parsed.text)
    return card.removesuffix(parsed.text) + text if data == old else _with_data(parsed, data, text)


def library_part(text: str) -> str:
    """The library's part of a card, with its two lines; '' where it was written entirely by hand."""
    parts = _split(text)
    return '' if parts is None else parts[1]


def names_same_classes(first: str, second: str) -> bool:
    """Whether the library's parts of two cards name the same classes; a part that names none does not contradict."""
    own, other = ([line for line in part.splitlines() if line.startswith(CLASSES)] for part in (first, second))
    return not (own and other) or own == other


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


def _with_data(card: RepoCard, data: Mapping[str, Any], text: str) -> str:
    card.data.__dict__.clear()
    card.data.__dict__.update(data)
    card.text = text
    return str(card)


def _stating(data: Mapping[str, Any], text: str) -> str:
    license = license_of(data)
    return text if license is None else edit_library_part(text, lambda part: state_license(part, license))


def _says_less(new_data: Mapping[str, Any], new_part: str, old_data: Mapping[str, Any]) -> bool:
    """Whether a card has no figures where the old one of the same weights has some, or nothing about their making."""
    if new_data.get(_FIGURES):
        return False
    made = '\n## Training\n' in new_part or PICTURE in new_part or _MADE_HERE not in new_part
    return bool(old_data.get(_FIGURES)) or not made


def _with_sources(old_part: str, new_part: str) -> str:
    """The library's part as it was, with what the weights were made from by the new one."""
    sources, mark = _SOURCES.search(new_part), find_mark(new_part)
    plain = old_part.replace('\r\n', '\n')
    part = plain if sources is None else _SOURCES.sub(lambda _: sources[0], plain)
    if PICTURE in new_part and PICTURE not in part:
        part = _CLASSES_LINE.sub(lambda line: f'{line[0]}\n\n![predictions]{PICTURE}', part, count=1)
    if mark is not None and find_mark(part) is None:
        part = part.replace(END, f'{mark_line(mark)}\n{END}')
    return old_part if part == plain else part


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
