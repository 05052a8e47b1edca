"""The folders of weights of a run, `last/` and `best/`: whether they are whole, and whose they are."""

from __future__ import annotations

import hashlib
import logging
from pathlib import Path

from mbv3zoo.model import Model
from mbv3zoo.saving.folder import BACKBONE_NAME, HEAD_NAME, saved_files
from mbv3zoo.utils.folders import move_aside

_logger = logging.getLogger(__name__)


def folder_fault(folder: Path) -> str:
    """Why the folder of a detector cannot be loaded; '' where it can."""
    try:
        saved_files(folder)
        Model.from_pretrained(folder)
    except (ValueError, OSError) as error:
        return str(error)
    return ''


def clear_damaged(folder: Path, fault: str) -> None:
    """Moves the damaged folder of a detector aside, with a warning that the last weights take its place."""
    kept = f', and kept as {move_aside(folder).name}' if folder.exists() else ''
    _logger.warning('%s is written anew, from the last weights: %s%s', folder, fault, kept)


def weights_digest(folder: Path) -> str:
    """SHA-256 of the weights in a detector's folder."""
    paths, digest = saved_files(folder), hashlib.sha256()
    for name in (BACKBONE_NAME, HEAD_NAME):
        digest.update(paths[name].read_bytes())
    return digest.hexdigest()
