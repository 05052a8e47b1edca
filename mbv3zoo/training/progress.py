"""How far a run has come, and what may change when it goes on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from mbv3zoo.config.training import RunConfig, TrainConfig
from mbv3zoo.training.checkpoint import STATE_NAME, load_state
from mbv3zoo.training.pace import SavedPace
from mbv3zoo.training.results import METRICS_NAME
from mbv3zoo.training.state_checks import SavedProgress

# The settings that may be given anew; with others, a resumed run would be no run of its run.yaml.
CHANGEABLE = ('epochs', 'minutes', 'patience', 'workers', 'threads', 'cache')
_MOST_NAMED = 5


class Progress(NamedTuple):
    """What a run has done: epochs, and the one with the best AP; both 0 before the first is done.

    A run that is fitted to a time has its pace too.
    """

    epoch: int = 0
    best_epoch: int = 0
    pace: SavedPace | None = None

    @classmethod
    def read(cls, run: Path) -> Progress:
        """Reads it from the run's state.

        Raises:
            ValueError: The state is damaged.
        """
        if not (run / STATE_NAME).exists():
            return cls()
        saved = SavedProgress.of(load_state(run), run)
        return cls(saved.epoch, saved.best_epoch, saved.pace)

    def out_of_patience(self, config: TrainConfig) -> bool:
        """Whether no AP was better for as many epochs as `patience` says."""
        return bool(config.patience and self.best_epoch and self.epoch - self.best_epoch >= config.patience)

    def out_of_time(self, config: TrainConfig) -> bool:
        """Whether no further epoch fits into `minutes`."""
        return self.last_epoch(config) <= self.epoch < config.epochs

    def is_done(self, config: TrainConfig) -> bool:
        """Whether no epoch is left."""
        return self.epoch >= self.last_epoch(config) or self.out_of_patience(config)

    def last_epoch(self, config: TrainConfig) -> int:
        """The number of epochs that the run will have."""
        return self.pace.last_epoch(self.epoch, config) if self.pace and config.minutes else config.epochs


def changed_config(config: RunConfig, changes: Mapping[str, Any], progress: Progress, run: Path) -> RunConfig:
    """The settings of a run with those that were given for going on.

    Args:
        config: The run's settings.
        changes: Some of `CHANGEABLE`; None leaves a setting as it is.
        progress: What the run has done.
        run: Folder of the run.

    Raises:
        ValueError: A value is not valid, `epochs` are done already, or they change nothing.
    """
    given = {name: value for name, value in changes.items() if value is not None}
    if not given:
        return config
    data = config.model_dump()
    changed = RunConfig.parse({**data, 'train': {**data['train'], **given}}, run)
    epochs = given.get('epochs')
    if epochs is not None and epochs <= progress.epoch:
        raise ValueError(f'{run}: epochs is {epochs}, but {progress.epoch} are done; expected more')
    if epochs is not None and progress.out_of_patience(changed.train):
        raise ValueError(
            f'{run}: {epochs} epochs would train nothing, as no AP was better for patience={changed.train.patience} '
            f'epochs; give more patience too'
        )
    if progress.pace and {'epochs', 'minutes'} & given.keys() and progress.out_of_time(changed.train):
        raise ValueError(
            f'{run}: no epoch fits into minutes={changed.train.minutes:g}, as {progress.pace.used / 60:.1f} were used '
            f'for {progress.epoch} epochs; give more minutes'
        )
    return changed


def finished(run: Path, config: TrainConfig, progress: Progress) -> str:
    """Says that a run is finished and what trains it further; '' where there is something left to do."""
    if not progress.is_done(config) or not (run / METRICS_NAME).exists():
        return ''
    done = f'{run} is finished ({progress.epoch} epoch{"" if progress.epoch == 1 else "s"}'
    if progress.out_of_time(config):
        return f'{done} in {config.minutes:g} minutes); --minutes N with a larger N trains further'
    if progress.epoch < config.epochs:
        return f'{done}, as no AP was better for {config.patience}); --patience N with a larger N trains further'
    return f'{done}); --epochs N trains further'


def check_class_names(run: Path, own: Sequence[str], given: Sequence[str]) -> None:
    """Raises ValueError where the classes of a dataset are not those that a run began with."""
    if changes := class_changes(own, given):
        raise ValueError(
            f'{run}: the classes of the data are not those that the run began with ({changes}); restore them, or start '
            f'a new run with --model {run / "last"}'
        )


def class_changes(own: Sequence[str], given: Sequence[str]) -> str:
    """Which classes were added, removed or reordered; '' where they are the same."""
    if tuple(own) == tuple(given):
        return ''
    added, removed = _only(given, own), _only(own, given)
    parts = [f'added: {added}'] * bool(added) + [f'removed: {removed}'] * bool(removed)
    return ', '.join(parts) or 'the order differs'


def listed(items: Sequence[str]) -> str:
    """The first few of many items, and how many more there are."""
    more = len(items) - _MOST_NAMED
    return ', '.join(items[:_MOST_NAMED]) + (f' and {more} more' if more > 0 else '')


def _only(names: Sequence[str], others: Sequence[str]) -> str:
    known = set(others)
    return listed([repr(name) for name in names if name not in known])
