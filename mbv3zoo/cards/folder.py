"""The card of a folder that a detector is saved in again."""

from __future__ import annotations

import logging
import os
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import NamedTuple

from mbv3zoo.cards.bounds import has_metadata, read_card
from mbv3zoo.cards.mark import detector_mark, find_mark
from mbv3zoo.cards.merge import PICTURE, library_part, merge_card, names_same_classes
from mbv3zoo.config.model import ModelConfig
from mbv3zoo.saving.config import read_folder_config
from mbv3zoo.saving.folder import CARD_NAME, PICTURE_NAME, read_saved, saved_files
from mbv3zoo.utils.atomic import current

_logger = logging.getLogger(__name__)


class RenewedCard(NamedTuple):
    """What is written for the card of a folder.

    Attributes:
        text: README.md.
        aside: Further files, by name: a card that cannot be read.
        outdated: Names of the library's files that the card shows no longer.
    """

    text: str
    aside: dict[str, bytes]
    outdated: tuple[str, ...]


def renew_card(folder: Path, card: str, *, keep: bool = True, license: str | None = None) -> RenewedCard:
    """The card to write where a detector is saved: that of the folder, with what the library wrote renewed.

    Args:
        folder: Where the detector is saved; need not exist.
        card: The card that was rendered for it.
        keep: Whether what people wrote into the card of the folder stays.
        license: A licence that was given explicitly.
    """
    # Unlike Path.exists, it takes a name of any length.
    path = current(folder / CARD_NAME) if os.path.isdir(folder) else folder
    if not os.path.isfile(path) or path == folder:
        return RenewedCard(card, {}, ())
    try:
        old = read_card(path)
        text = _renewed(folder, old, card, license) if keep else card
    except ValueError as error:
        if not keep:
            return RenewedCard(card, {}, ())
        aside = next(name for number in count(1) if not (folder / (name := f'{CARD_NAME}.damaged-{number}')).exists())
        reason = ' '.join(str(error.__cause__ or error).split())
        _logger.warning('%s cannot be renewed (%s): it is now %s, and a new one is written', path, reason, aside)
        return RenewedCard(card, {aside: path.read_bytes()}, ())
    return RenewedCard(text, {}, outdated_files(old, text))


def outdated_files(old: str, new: str) -> tuple[str, ...]:
    """Names of the files that the library's part of a card showed, and the new card shows no longer."""
    return (PICTURE_NAME,) if PICTURE in library_part(old) and PICTURE_NAME not in new else ()


def folder_mark(folder: Path) -> tuple[ModelConfig, str]:
    """The config and the mark of the detector in a folder.

    Raises:
        ValueError: There is none, or it is damaged.
    """
    config = read_folder_config(folder)
    saved = read_saved(lambda: saved_files(folder))
    return config, detector_mark(config, saved.backbone, saved.head)


def _renewed(folder: Path, old: str, card: str, license: str | None) -> str:
    part, same, before = library_part(old), None, None
    if not part and license is None and not has_metadata(old):
        # Nothing in it is the library's; metadata are added when it is published.
        return old
    if find_mark(part) is None:
        # A person wrote it, or an older version.
        with suppress(ValueError, OSError):
            config, mark = folder_mark(folder)
            same = mark == find_mark(card) and names_same_classes(part, library_part(card))
            before = config.licenses
    return merge_card(old, card, same_weights=same, before=before, license=license)
