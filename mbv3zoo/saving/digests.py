"""Which weights belong to a config.json: the sha256 of each file of weights stands in it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mbv3zoo.saving.weights_file import NotTogether, read_metadata
from mbv3zoo.utils.files import file_digest
from mbv3zoo.utils.text import shown

# The entry of config.json: name of a file -> its sha256 in hexadecimal.
DIGESTS = 'sha256'
# In the header of detector.safetensors: the sha256 of the model.safetensors that it was saved with. Folders that were
# saved before config.json had digests are checked by it, and all folders by older versions of this library.
_MARK = 'backbone_sha256'
# Beside the mark: that config.json had digests. Where it has none any more, they were removed to exchange a file.
_KEPT_IN = 'digests'
ACCEPT = f"Where weights were exchanged on purpose, remove the entry '{DIGESTS}' from config.json."


def accept_on_hub(repo_id: str) -> str:
    """As `ACCEPT`, for a repository on the Hub."""
    return (
        f"Where weights were exchanged on purpose, the owner removes the entry '{DIGESTS}' from config.json, or you "
        f'remove it in a copy (hf download {repo_id} --local-dir FOLDER).'
    )


def head_metadata(backbone_digest: str) -> dict[str, str]:
    """The metadata of the detector.safetensors that is saved with a model.safetensors of this sha256."""
    return {_MARK: backbone_digest, _KEPT_IN: 'config.json'}


def read_digests(config: Mapping[str, Any], names: tuple[str, ...], source: Any) -> dict[str, str] | None:
    """The digests in a config.

    Args:
        config: What stands in config.json.
        names: The files that may have one.
        source: Name used in error messages.

    Returns:
        Name -> sha256; None where the config has no such entry.

    Raises:
        ValueError: The entry is not of that form.
    """
    if DIGESTS not in config:
        return None
    entry = config[DIGESTS]
    if not isinstance(entry, dict) or not all(
        name in names and isinstance(digest, str) and re.fullmatch('[0-9a-f]{64}', digest)
        for name, digest in entry.items()
    ):
        raise ValueError(
            f'{source}: the entry {DIGESTS!r} is {shown(entry)}, expected some of {", ".join(names)}, each with 64 '
            f'hexadecimal digits; correct it, or remove it, and the weights are not checked'
        )
    return entry


def check_mark(backbone: Path, head: Path, advice: str) -> None:
    """Raises NotTogether where two files of weights without digests bear marks of two saves."""
    metadata = read_metadata(head)
    if _MARK in metadata and _KEPT_IN not in metadata and metadata[_MARK] != file_digest(backbone):
        raise NotTogether(
            f'{backbone} and the {head.name} beside it come from two different saves. {advice} Where weights were '
            f'exchanged on purpose, write "{DIGESTS}": {{}} into config.json.'
        )
