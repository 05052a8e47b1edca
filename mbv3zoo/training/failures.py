"""What ends a run early, told with where the last checkpoint is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class TrainingStopped(RuntimeError):
    """A run ended early; the last checkpoint is whole. The data, the disk or a loader process failed."""


class TrainingDiverged(TrainingStopped):
    """The loss or the weights became nan or infinite."""


@contextmanager
def naming_the_checkpoint(trainer: Any) -> Iterator[None]:
    """Turns failures of data, disk and loader processes into a `TrainingStopped` that says how to go on.

    Args:
        trainer: Its `run` and `saved_epoch` are told.
    """
    try:
        yield
    except TrainingDiverged:
        raise
    except (OSError, RuntimeError) as error:
        if not isinstance(error, OSError) and 'DataLoader worker' not in str(error):
            raise
        # What a loader process raises comes as a traceback in text, its last line being the error.
        lines = str(error).strip().splitlines() or [type(error).__name__]
        reason = lines[-1].removeprefix('FileNotFoundError: ')
        if 'DataLoader worker' in reason:
            reason = f'{reason.rstrip(".")}. Was there too little memory? Try fewer workers, or smaller batches'
        saved = trainer.saved_epoch
        kept = f'the checkpoint of epoch {saved} is whole' if saved else 'no epoch was saved'
        raise TrainingStopped(f'{reason}; {kept}, go on with --resume {trainer.run}') from error
