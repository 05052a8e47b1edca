"""The trackers that a run is logged to: TensorBoard, Weights & Biases, MLflow, Trackio and others of accelerate."""

from __future__ import annotations

import io
import logging
import netrc
import os
from collections.abc import Mapping
from contextlib import redirect_stdout, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from accelerate import Accelerator
from accelerate.tracking import LOGGER_TYPE_TO_CLASS

from mbv3zoo.evaluation.metrics import AP_NAMES
from mbv3zoo.utils.environment import environment
from mbv3zoo.utils.packages import is_installed, require
from mbv3zoo.utils.text import one_line

_logger = logging.getLogger(__name__)

_PROJECT = 'mbv3zoo'
# What stands before the name of a figure; trackers show figures of one group together.
_GROUPS = {
    **dict.fromkeys(('box', 'classes', 'objectness', 'cross_entropy', 'dice'), 'train'),
    **dict.fromkeys((*AP_NAMES, 'miou', 'pixel_accuracy'), 'val'),
    **dict.fromkeys(('seconds', 'waiting'), 'time'),
}


def tracker_names(given: str | None) -> list[str]:
    """The names in a setting, which has commas between them; none for None.

    Raises:
        ValueError: accelerate has no such tracker.
        ImportError: Its package is not installed.
    """
    names = [] if given is None else [name.strip() for name in given.split(',')]
    for name in names:
        if name not in LOGGER_TYPE_TO_CLASS:
            raise ValueError(
                f'tracker {name!r} is unknown; expected one of {", ".join(LOGGER_TYPE_TO_CLASS)}, or several with '
                'commas between'
            )
        require(f'tracker {name!r}', name)
    return names


class Trackers:
    """Logs a run to its trackers, as a context manager; in runs of several processes the main one does.

    Args:
        names: As `tracker_names` gives them.
        accelerator: The run's, which was made with these names.
        run: The folder of the run, whose name the run has in the trackers.
    """

    def __init__(self, names: list[str], accelerator: Accelerator, run: Path) -> None:
        self.names, self.accelerator, self.run = names, accelerator, run

    def start(self, config: Mapping[str, Any]) -> None:
        """Begins, and logs the settings of the run.

        Raises:
            ValueError: A tracker cannot begin; the sentence says why.
        """
        if not self.names:
            return
        project = os.environ.get('WANDB_PROJECT') or _PROJECT
        options: dict[str, dict[str, Any]] = {
            'mlflow': {'run_name': self.run.name},
            'trackio': {'name': self.run.name, 'embed': False},
            'wandb': _wandb_options(self.run) if 'wandb' in self.names else {},
        }
        settings = {
            name: value if isinstance(value, int | float | str) else str(value) for name, value in config.items()
        }
        try:
            # Trackio prints what it does, and wandb what it could do where language models are imported. MLflow without
            # its database keeps files, where it is allowed.
            allowed = environment(MLFLOW_ALLOW_FILE_STORE='true', WANDB_DISABLE_WEAVE='true')
            with redirect_stdout(io.StringIO()), allowed:
                if 'mlflow' in self.names:
                    _place_mlflow(self.run)
                self.accelerator.init_trackers(project, settings, options)
        except OSError:
            raise
        except Exception as error:
            raise ValueError(
                f'the tracker {" or ".join(self.names)} cannot begin ({one_line(str(error), 300)}); correct its '
                'settings, or train without it'
            ) from error
        for line in self._where(project) if self.accelerator.is_main_process else ():
            _logger.info(line)

    def log(self, values: Mapping[str, float], epoch: int) -> None:
        """Logs the figures of an epoch, each as group/name. A tracker that fails, as its server does, is left out."""
        grouped = {f'{_GROUPS[name]}/{name}' if name in _GROUPS else name: value for name, value in values.items()}
        for tracker in list(self.accelerator.trackers):
            try:
                with redirect_stdout(io.StringIO()):
                    tracker.log(grouped, step=epoch)
            except OSError:
                raise
            except Exception as error:
                _logger.warning('the tracker %s fails and is left out from now on: %s', tracker.name, error)
                self.accelerator.trackers.remove(tracker)

    def __enter__(self) -> Trackers:
        return self

    def __exit__(self, *error: object) -> None:
        """Ends, however the run did; what trackers still have to say about it is left out."""
        if self.names:
            with redirect_stdout(io.StringIO()), suppress(Exception):
                self.accelerator.end_training()
                if 'trackio' in self.names:
                    # Else it ends the run once more when the program does, and says so.
                    import trackio

                    trackio.finish()

    def _where(self, project: str) -> list[str]:
        """How the run is followed."""
        lines = {
            'tensorboard': f'to follow the run in a browser: tensorboard --logdir {self.run}',
            'trackio': f'to follow the run in a browser: trackio show --project {project}',
        }
        for tracker in self.accelerator.trackers:
            if tracker.name == 'wandb' and tracker.run.settings.mode == 'online':
                lines['wandb'] = f'to follow the run in a browser: {tracker.run.url}'
            elif tracker.name == 'wandb':
                folder = Path(tracker.run.dir).parent
                lines['wandb'] = f'kept by wandb without its server; to upload it: wandb sync {folder}'
            elif tracker.name == 'mlflow':
                import mlflow

                lines['mlflow'] = f'logged to MLflow at {mlflow.get_tracking_uri()}'
        return [lines[name] for name in self.names if name in lines]


def _wandb_options(run: Path) -> dict[str, Any]:
    """Options of `wandb.init`: nothing on the terminal, and no question: without a key the run stays on this disk."""
    options: dict[str, Any] = {'name': run.name, 'dir': str(run), 'settings': {'silent': True, 'console': 'off'}}
    if 'WANDB_MODE' not in os.environ and not _has_wandb_key():
        options['mode'] = 'offline'
    return options


def _has_wandb_key() -> bool:
    if any(os.environ.get(name) for name in ('WANDB_API_KEY', 'WANDB_IDENTITY_TOKEN_FILE')):
        return True
    import wandb

    own = os.environ.get('WANDB_BASE_URL')
    hosts = {urlsplit(own or str(wandb.Settings().base_url)).netloc, *([] if own else ['api.wandb.ai'])}
    for name in (os.environ.get('NETRC'), '~/.netrc', '~/_netrc'):
        # `wandb login` writes it there.
        with suppress(OSError, netrc.NetrcParseError):
            if name and hosts & netrc.netrc(os.path.expanduser(name)).hosts.keys():
                return True
    return False


def _place_mlflow(run: Path) -> None:
    """Where no place is set and mlflow has no database, as mlflow-skinny, the runs are in files beside this one."""
    import mlflow

    if not (os.environ.get('MLFLOW_TRACKING_URI') or mlflow.is_tracking_uri_set() or is_installed('sqlalchemy')):
        mlflow.set_tracking_uri((run.resolve().parent / 'mlruns').as_uri())
