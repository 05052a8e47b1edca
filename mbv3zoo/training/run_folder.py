"""The folder of a training run: one process claims it, and all processes of the run get its name."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path

from accelerate import PartialState
from accelerate.utils import broadcast_object_list, parse_flag_from_env

from mbv3zoo.utils.folders import claimed_folder, locked_folder


@contextmanager
def new_run(folder: str | Path | None) -> Iterator[Path]:
    """Context manager: the folder of a new run, claimed for it (`mbv3zoo.utils.folders.claimed_folder`).

    Args:
        folder: The folder, new or empty; None makes the next runs/train-N.

    Raises:
        ValueError: The folder is not empty, or another run writes to it.
    """
    with _in_first_process(lambda: claimed_folder(folder, 'train')) as path:
        yield Path(path)


@contextmanager
def resumed_run(folder: str | Path) -> Iterator[None]:
    """Context manager: keeps other runs out of the folder of a run that is resumed.

    Raises:
        ValueError: Another run writes to it.
    """
    with _in_first_process(lambda: locked_folder(folder)):
        yield


@contextmanager
def _in_first_process(claim: Callable[[], AbstractContextManager[object]]) -> Iterator[str]:
    """Enters a context in the process of rank 0; all get the value as text, or raise its error."""
    # As `Accelerator` makes it later: the first one decides for the process.
    state = PartialState(cpu=parse_flag_from_env('ACCELERATE_USE_CPU'))
    value, error = '', ''
    with ExitStack() as stack:
        if state.is_main_process:
            try:
                value = str(stack.enter_context(claim()))
            except (ValueError, OSError) as failure:
                error = str(failure)
        value, error = broadcast_object_list([value, error])
        if error:
            raise ValueError(error)
        yield value
