"""Pulling and pushing a detector's folder (`mbv3zoo.saving.folder`): the Hugging Face Hub.

In every load files are checked against the hash that the Hub states (`integrity`). Failures that may pass are tried
again a few times, each with a warning (`errors`).
"""

from mbv3zoo.hub.arguments import check_repo_id
from mbv3zoo.hub.download import pull
from mbv3zoo.hub.options import PullOptions, PushOptions
from mbv3zoo.hub.upload import PushedFile, push_folder

__all__ = ['PullOptions', 'PushOptions', 'PushedFile', 'check_repo_id', 'pull', 'push_folder']
