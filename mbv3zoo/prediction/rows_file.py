"""A JSON list in a file that is valid after every row, whatever ends the writing."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

from mbv3zoo.utils.disk import naming_file
from mbv3zoo.utils.text import json_text

_OPENING, _CLOSING = b'[\n', b'\n]\n'


class RowsFile:
    """A JSON list that is written row by row; a context manager.

    Each row replaces the end of the list, which follows it again: a full disk, a killed process or an error leave a
    list of whole rows.

    Args:
        path: The file; it must not exist.

    Attributes:
        count: Rows in it.

    Raises:
        OSError: It cannot be written; the sentence names it. The same from `add`, and the rows before are kept.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.count = path, 0
        # Unbuffered: what was written is there, and nothing is left to be written when it is closed.
        with naming_file(path):
            self._file = open(path, 'xb', buffering=0)  # noqa: SIM115
        self._end = len(_OPENING)
        try:
            self._write(b'[]\n', 0)
        except BaseException:
            self.discard()
            raise

    def add(self, row: Any) -> None:
        """Adds a row: anything that JSON can hold. Names that are no UTF-8 are escaped, so that they come back."""
        text = json_text(row).encode('utf-8')
        if self.count:
            self._write(b',\n' + text + _CLOSING, self._end)
            self._end += 2 + len(text)
        else:
            self._write(_OPENING + text + _CLOSING, 0)
            self._end = len(_OPENING) + len(text)
        self.count += 1

    def close(self) -> None:
        """Closes the file, which is whole."""
        self._file.close()

    def discard(self) -> None:
        """Closes and removes the file."""
        self._file.close()
        self.path.unlink(missing_ok=True)

    def _write(self, data: bytes, start: int) -> None:
        try:
            with naming_file(self.path):
                self._file.seek(start)
                view = memoryview(data)
                while view:
                    view = view[self._file.write(view) :]
        except BaseException:
            # The old end goes where it was, which needs no further space; then what follows is cut off.
            old = _CLOSING if self.count else b'[]\n'
            with suppress(OSError):  # a disk that was full from the start has no room for it either
                self._file.seek(self._end if self.count else 0)
                self._file.write(old)
                self._file.truncate()
            raise

    def __enter__(self) -> RowsFile:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()
