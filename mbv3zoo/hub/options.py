"""The options of the Hub that many functions pass on, each named and typed once: `**options: Unpack[PullOptions]`."""

from __future__ import annotations

from pathlib import Path
from typing import TypedDict


class PullOptions(TypedDict, total=False):
    """How files are fetched from the Hub; see `mbv3zoo.hub.pull`, which has the defaults and the errors.

    Attributes:
        revision: Branch, tag or commit; the default branch when left out. For repositories only: a folder has none.
        cache_dir: Folder where downloads are kept; the Hub's own cache by default.
        token: Access token, or True/False to demand or forbid the stored one.
        local_files_only: Use the cache, never the network.
        force_download: Download again even what the cache holds, and never fall back to it.
    """

    revision: str | None
    cache_dir: str | Path | None
    token: str | bool | None
    local_files_only: bool
    force_download: bool


class PushOptions(TypedDict, total=False):
    """How a folder is published on the Hub; see `mbv3zoo.hub.push_folder`, which has the defaults and the errors.

    Attributes:
        token: Access token with the right to write; the stored one by default.
        private: Visibility of a repository that is made now; an existing one keeps its own.
        revision: Branch to commit to, made when missing; the default branch when left out.
        commit_message: Title of the commit.
        create_pr: Open a pull request instead of committing to the branch.
    """

    token: str | bool | None
    private: bool | None
    revision: str | None
    commit_message: str | None
    create_pr: bool
