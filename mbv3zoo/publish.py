"""Publishing a saved detector: its licences are checked before anything is sent."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from huggingface_hub import ModelCard

from mbv3zoo import hub, saved_folder
from mbv3zoo.atomic import atomic_write
from mbv3zoo.licenses import check_push, hub_license
from mbv3zoo.saved_detector import read_folder_config


def publish_folder(
    folder: str | Path, repo_id: str, *, license: str | None = None, allow_licenses: Iterable[str] = (), **options: Any
) -> str | list[hub.PushedFile]:
    """Pushes a folder that `save_pretrained` wrote to the Hub, in one commit.

    Args:
        folder: The folder.
        repo_id: 'organisation/name'.
        license: The licence to publish the weights under, which is written into the folder's card; by default the one
            that the card names.
        allow_licenses: Licences of what the weights were made from that are not to be asked about, or 'any'.
        **options: `token`, `private`, `revision`, `commit_message`, `create_pr`, `dry_run`; see
            `mbv3zoo.hub.push_folder`.

    Returns:
        The address of the commit or pull request; with `dry_run` what would be sent.

    Raises:
        ValueError: The licences do not allow it (`mbv3zoo.licenses.check_push`), the folder is not complete, or the Hub
            refused.
        ConnectionError: The Hub cannot be reached, or failed to answer. Publishing again is safe.
    """
    folder = Path(folder)
    config = read_folder_config(folder)
    card_path = folder / saved_folder.CARD_NAME
    allowed = tuple(allow_licenses)
    if card_path.is_file():
        card = card_path.read_text(encoding='utf-8')
        check_push(config.licenses, license or card_license(card), allowed)
        if license and license != card_license(card) and not options.get('dry_run'):
            _set_license(card_path, license)

    def check_merged(card: str) -> None:
        try:
            check_push(config.licenses, card_license(card), allowed)
        except ValueError as error:
            raise ValueError(f'{repo_id} has a card that keeps its licence: {error}. Correct the card there') from error

    return hub.push_folder(folder, repo_id, check_card=check_merged, **options)


def _set_license(path: Path, license: str) -> None:
    card = ModelCard.load(path, ignore_metadata_errors=True)
    card.data.license, card.data.license_name = hub_license(license)
    atomic_write(path, str(card).encode('utf-8'))


def card_license(card: str) -> str | None:
    """The licence that a card's metadata name, or None.

    Args:
        card: Its text.
    """
    data = ModelCard(card, ignore_metadata_errors=True).data
    name = data.get('license_name') if data.license == 'other' else None
    return name or (data.license if isinstance(data.license, str) else None)
