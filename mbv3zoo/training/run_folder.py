"""The folder of a training run: one process claims it, and all processes of the run get its name."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import partial
from pathlib import Path

from accelerate.utils import gather_object

from mbv3zoo.training.devices import process_state
from mbv3zoo.utils.atomic import put_right
from mbv3zoo.utils.folders import claimed_folder, locked_folder
from mbv3zoo.utils.processes import Processes

# Of a run, that are written to.
_FOLDERS = ('.', 'last', 'best', 'report')
# Names that files had while earlier versions wrote them.
_TEMPORARY = re.compile(r'\..+\.[0-9a-f]{32}\.tmp')


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
    with _in_first_process(lambda: _cleared(folder)):
        yield


def put_run_right(folder: Path) -> None:
    """Ends what a killed process had begun to put in place in the folders of a run, and removes the rest."""
    for name in _FOLDERS:
        put_right(folder / name)


@contextmanager
def _cleared(folder: str | Path) -> Iterator[None]:
    """Context manager: locks the folder of a run, and removes temporary files that killed older versions left there."""
    with locked_folder(folder):
        for name in _FOLDERS:
            for file in (Path(folder) / name).glob('.*.tmp'):
                if _TEMPORARY.fullmatch(file.name):
                    file.unlink(missing_ok=True)
        yield


@contextmanager
def _in_first_process(claim: Callable[[], AbstractContextManager[object]]) -> Iterator[str]:
    """Enters a context in the process of rank 0; all get the value as text, or raise its error as a ValueError."""
    state = process_state()
    group = Processes(state.process_index, state.num_processes, gather_object)
    with group.entered_by_first(partial(_told, claim)) as value:
        yield value


@contextmanager
def _told(claim: Callable[[], AbstractContextManager[object]]) -> Iterator[str]:
    with ExitStack() as stack:
        try:
            value = str(stack.enter_context(claim()))
        except OSError as failure:
            raise ValueError(str(failure)) from failure
        yield value
