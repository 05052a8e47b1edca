"""Errors that end a run early; they say where the last checkpoint is."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mbv3zoo.utils.disk import is_told, sentence, why


class TrainingStopped(RuntimeError):
    """Data, disk or a loader process failed; the last checkpoint is intact."""


class TrainingDiverged(TrainingStopped):
    """The loss or the weights became nan or infinite; the last checkpoint is intact."""


@contextmanager
def telling_interruptions(sentence: str) -> Iterator[None]:
    """Context manager: gives a KeyboardInterrupt that says nothing a sentence."""
    try:
        yield
    except KeyboardInterrupt as stop:
        if str(stop):
            raise
        raise KeyboardInterrupt(sentence) from stop


@contextmanager
def naming_the_checkpoint(trainer: Any) -> Iterator[None]:
    """Context manager: turns failures into errors that name the last checkpoint.

    Failures of data, disk and loader processes become a `TrainingStopped`, FloatingPointError a `TrainingDiverged`. A
    KeyboardInterrupt says how to go on.

    Args:
        trainer: Its `run`, `saved_epoch`, epochs and learning rate are named.
    """
    try:
        yield
    except KeyboardInterrupt as stop:
        # Here, as the program imports this module when it starts.
        from mbv3zoo.training.run_yaml import CONFIG_NAME

        saved, epochs = trainer.saved_epoch, trainer.config.epochs
        again = f'mbv3zoo train --resume {shlex.quote(str(trainer.run))}'
        if not (trainer.run / CONFIG_NAME).exists():  # of a Trainer that somebody made
            again = 'resume=True'
        if saved:
            raise KeyboardInterrupt(f'interrupted after epoch {saved} of {epochs}; go on with: {again}') from stop
        raise KeyboardInterrupt(
            f'interrupted before epoch 1 of {epochs} was done, and nothing of it is kept; begin again with: {again}'
        ) from stop
    except FloatingPointError as error:
        saved = trainer.saved_epoch
        kept = f'{trainer.run / "last"} holds the weights of epoch {saved}' if saved else 'nothing was saved yet'
        from mbv3zoo.training.prepare import usual_lr

        usual = usual_lr(trainer.config)
        given = f'{trainer.config.lr}' + ('' if usual in (None, trainer.config.lr) else f'; {usual} is usual')
        advice = f'Try a lower lr (now {given}) or a longer warm-up.'
        raise TrainingDiverged(f'{error}; {kept}. {advice}') from error
    except (OSError, RuntimeError) as error:
        if not isinstance(error, OSError) and 'DataLoader worker' not in str(error):
            raise
        # An error in a loader process arrives as the text of a traceback, whose last line is the error.
        lines = _told(error, trainer.run).strip().splitlines() or [type(error).__name__]
        reason = lines[-1].removeprefix('FileNotFoundError: ')
        if 'DataLoader worker' in reason:
            reason = f'{reason.rstrip(".")}. Was there too little memory? Try fewer workers, or smaller batches'
        saved = trainer.saved_epoch
        kept = f'the checkpoint of epoch {saved} is whole' if saved else 'no epoch was saved'
        raise TrainingStopped(f'{reason}; {kept}, go on with --resume {trainer.run}') from error


def _told(error: OSError | RuntimeError, run: Path) -> str:
    if not isinstance(error, OSError) or isinstance(error, FileNotFoundError):
        return str(error)
    # Whoever writes by a descriptor, such as a tracker, says no path.
    nameless = error.errno is not None and not is_told(error) and error.filename is None
    return f'could not write to {run}: {why(error, run)}' if nameless else sentence(error)
