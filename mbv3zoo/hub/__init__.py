"""Pulling and pushing a detector's folder (`mbv3zoo.saving.folder`): the Hugging Face Hub.

In every load files are checked against the hash that the Hub states (`integrity`). Failures that may pass are tried
again a few times, each with a warning (`errors`). The Hub's client is imported when something is asked of the Hub.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

# Name -> the module that has it.
_HOMES = {
    'PullOptions': 'options',
    'PushOptions': 'options',
    'PushedFile': 'upload',
    'check_repo_id': 'arguments',
    'pull': 'download',
    'push_folder': 'upload',
}

if TYPE_CHECKING:
    from mbv3zoo.hub.arguments import check_repo_id as check_repo_id
    from mbv3zoo.hub.download import pull as pull
    from mbv3zoo.hub.options import PullOptions as PullOptions
    from mbv3zoo.hub.options import PushOptions as PushOptions
    from mbv3zoo.hub.upload import PushedFile as PushedFile
    from mbv3zoo.hub.upload import push_folder as push_folder
else:
    __all__ = sorted(_HOMES)

    def __getattr__(name: str) -> Any:
        if name not in _HOMES:
            raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
        value = getattr(import_module(f'mbv3zoo.hub.{_HOMES[name]}'), name)
        globals()[name] = value
        return value
