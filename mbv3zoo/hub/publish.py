"""Publishing a saved detector: its licences are checked, and its card names the repository, before anything is sent."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Literal, Unpack, overload

from mbv3zoo import hub
from mbv3zoo.cards.bounds import read_card
from mbv3zoo.cards.folder import folder_mark
from mbv3zoo.cards.license import card_license
from mbv3zoo.cards.mark import find_mark
from mbv3zoo.cards.merge import edit_library_part, library_part, merge_card, names_same_classes, with_license
from mbv3zoo.cards.render import license_table, render_card
from mbv3zoo.licenses import check_push, license_id
from mbv3zoo.models.build import build_network
from mbv3zoo.models.timm_repository import stock_architecture
from mbv3zoo.saving import folder as saved_folder
from mbv3zoo.saving.config import read_folder_config


@overload
def publish_folder(
    folder: str | Path,
    repo_id: str,
    *,
    license: str | None = None,
    allow_licenses: Iterable[str] = (),
    dry_run: Literal[False] = False,
    **options: Unpack[hub.PushOptions],
) -> str: ...
@overload
def publish_folder(
    folder: str | Path,
    repo_id: str,
    *,
    license: str | None = None,
    allow_licenses: Iterable[str] = (),
    dry_run: bool,
    **options: Unpack[hub.PushOptions],
) -> str | list[hub.PushedFile]: ...
def publish_folder(
    folder: str | Path,
    repo_id: str,
    *,
    license: str | None = None,
    allow_licenses: Iterable[str] = (),
    dry_run: bool = False,
    **options: Unpack[hub.PushOptions],
) -> str | list[hub.PushedFile]:
    """Pushes a folder that `save_pretrained` wrote to the Hub, in one commit.

    Args:
        folder: The folder; it is not changed.
        repo_id: 'organisation/name'.
        license: The licence to publish the weights under, whatever the cards say; by default the one that a person
            wrote into the repository's card, or that the folder's card names.
        allow_licenses: Licences of what the weights were made from that are not to be asked about, or 'any'.
        dry_run: Do not use the network; only tell what would be pushed.
        **options: `token`, `private`, `revision`, `commit_message`, `create_pr`; see `mbv3zoo.hub.PushOptions`.

    Returns:
        The address of the commit or pull request; with `dry_run` what would be sent.

    Raises:
        ValueError: The licences do not allow it (`mbv3zoo.licenses.check_push`), the folder is not complete, or the Hub
            refused.
        ConnectionError: The Hub cannot be reached, or failed to answer. Publishing again is safe.
    """
    folder, allowed = Path(folder), tuple(allow_licenses)
    license = None if license is None else license_id(license)
    licenses = read_folder_config(folder).licenses
    card = published_card(folder, repo_id, license, allowed)

    def check_merged(merged: str) -> None:
        try:
            check_push(licenses, card_license(merged), allowed)
        except ValueError as error:
            raise ValueError(f'{repo_id} has a card that keeps its licence: {error}. Correct the card there') from error

    return hub.push_folder(
        folder, repo_id, card=card, license=license, check_card=check_merged, dry_run=dry_run, **options
    )


def published_card(folder: Path, repo_id: str, license: str | None = None, allow_licenses: Iterable[str] = ()) -> str:
    """The card that a folder is published with: it says how to load the detector from its repository.

    Args:
        folder, repo_id, license, allow_licenses: As for `publish_folder`.

    Raises:
        ValueError: There is no card, or the licences do not allow to publish under the one that it names.
    """
    path = folder / saved_folder.CARD_NAME
    if not path.is_file():
        raise saved_folder.no_card(folder)
    text = read_card(path)
    card_license(text, path)  # in bounds, before it is parsed
    text = with_license(_of_these_weights(folder, text), None if license is None else license_id(license))
    check_push(read_folder_config(folder).licenses, card_license(text), allow_licenses)
    return edit_library_part(text, lambda part: _name_repository(part, repo_id))


def _of_these_weights(folder: Path, text: str) -> str:
    """The card of a folder, with what the library wrote renewed where it is about others than the weights beside it."""
    part = library_part(text)
    if not part:
        return text
    config, mark = folder_mark(folder)
    known = find_mark(part)
    if known == mark and license_table(config.licenses) in part:
        return text
    parameters = sum(p.numel() for p in build_network(config, device='meta').parameters())
    stock = stock_architecture(config.backbone, config.backbone_args) is not None
    card = render_card(config, parameters, stock=stock, mark=mark)
    # An older version did not say which weights it is about.
    same = known == mark or (known is None and names_same_classes(part, library_part(card)))
    return merge_card(text, card, same_weights=same)


def _name_repository(text: str, repo_id: str) -> str:
    text = re.sub(r"from_pretrained\('[^'\n]*'\)", f"from_pretrained('{repo_id}')", text)
    return re.sub(r"'hf-hub:[^'\n]*'", f"'hf-hub:{repo_id}'", text)
