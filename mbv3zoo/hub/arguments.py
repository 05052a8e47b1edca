"""What callers give to the Hub, checked before anything is sent: repository, revision, token, folder of the cache."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from huggingface_hub import constants
from huggingface_hub.errors import HFValidationError
from huggingface_hub.utils import validate_repo_id

from mbv3zoo.hub.errors import BAD_TOKEN
from mbv3zoo.utils.text import shown

# Between two slashes in the name of a branch or tag.
_PART = re.compile(r'(?![.-])(?!.*(\.\.|@\{))[^ ~^:?*\[\\]+(?<!\.)(?<!\.lock)')


def check_repo_id(repo_id: str) -> None:
    """Raises ValueError where it is not 'org/name'."""
    try:
        validate_repo_id(repo_id)
    except HFValidationError as error:
        raise ValueError(
            f"{repo_id!r} is neither an existing folder nor a Hub id of the form 'org/name'. {error}"
        ) from error
    if not isinstance(repo_id, str) or '/' not in repo_id:
        raise ValueError(
            f"{repo_id!r} is neither an existing folder nor a Hub id, which names the owner too: 'org/name'."
        )


def check_revision(revision: Any) -> None:
    """Raises ValueError where it is neither None nor what git takes as the name of a branch, tag or commit."""
    # Names of git's refs are paths. A lone surrogate is not printable.
    fits = revision is None or (
        isinstance(revision, str)
        and len(revision) <= 200
        and revision.isprintable()
        and all(_PART.fullmatch(part) for part in revision.split('/'))
    )
    if not fits:
        raise ValueError(f'revision={shown(revision)} is not the name of a branch, tag or commit.')


def check_token(token: Any) -> None:
    """Raises ValueError where it is neither None, True or False nor of the characters that tokens have."""
    if token is None or isinstance(token, bool):
        return
    if not isinstance(token, str):
        raise ValueError(f'token is of type {type(token).__name__}; expected a string, or True, False or None.')
    if not token:
        raise ValueError('token is an empty string; leave it out to use the stored one, or pass False to use none.')
    if not token.isascii() or not token.isprintable() or ' ' in token:
        # The token itself is not for other eyes.
        raise ValueError(BAD_TOKEN)


def check_push_arguments(repo_id: str, revision: Any, token: Any, create_pr: bool) -> None:
    """Raises ValueError where something cannot be pushed to: one of them cannot be one, or two exclude each other."""
    check_repo_id(repo_id)
    check_revision(revision)
    check_token(token)
    if create_pr and revision is not None:
        raise ValueError(
            f'revision={revision!r} and create_pr=True exclude each other: a pull request is always opened '
            'against the default branch. Give one of them.'
        )


def cache_folder(cache_dir: Any) -> Path:
    """Where downloads are kept.

    Args:
        cache_dir: The folder; the Hub's own by default.

    Raises:
        ValueError: `cache_dir` is no path.
    """
    try:
        folder = Path(os.fspath(cache_dir or constants.HF_HUB_CACHE))
        return folder.expanduser().resolve()
    except (TypeError, ValueError, RuntimeError) as error:
        raise ValueError(f'cache_dir={shown(cache_dir)} is not the path of a folder: {error}.') from error
