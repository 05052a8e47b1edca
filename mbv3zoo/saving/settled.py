"""Files that belong together are read again where another process replaces them just now."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from mbv3zoo.saving.weights_file import NotTogether, identity

# A reader who meets another process's save waits so many seconds for each change of the files, and reads them so often.
_WAITS = (0.05, 0.1, 0.2, 0.4)
_READS = 8

_Result = TypeVar('_Result')


def settled(find: Callable[[], Mapping[str, Path]], read: Callable[[Mapping[str, Path]], _Result]) -> _Result:
    """What is read of files of one save; where another process saves them just now, it is read again.

    Args:
        find: Gives name -> path of the files.
        read: Reads them; raises NotTogether where they come from two saves.

    Returns:
        What `read` returned of files that stayed the same meanwhile.

    Raises:
        ValueError: They come from two saves, and nobody is saving.
    """
    for _ in range(_READS):
        try:
            files = find()
            before = _identities(files)
            result = read(files)
            if _identities(files) == before:
                return result
            failure: Exception = NotTogether(
                f'{next(iter(files.values()))} was replaced while it was read; read it again'
            )
        except FileNotFoundError as error:
            # It was moved to its place in between.
            failure = error
        except NotTogether as error:
            failure = error
            if not _change_within_a_second(find, before):
                break
    if isinstance(failure, NotTogether):
        raise ValueError(str(failure)) from failure
    raise failure


def _change_within_a_second(find: Callable[[], Mapping[str, Path]], before: list[tuple[int, ...]]) -> bool:
    for wait in _WAITS:
        time.sleep(wait)
        with suppress(FileNotFoundError):
            if _identities(find()) != before:
                return True
    return False


def _identities(files: Mapping[str, Path]) -> list[tuple[int, ...]]:
    return [identity(path) for path in files.values()]
