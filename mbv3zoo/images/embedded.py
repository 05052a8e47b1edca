"""Images inside of an Arrow file, as data sets of the Hub have them: read where they lie, mapped into memory.

Such an image is named by a path below the file: `set/data.arrow/image/12.jpg` is row 12 of its column `image`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

_SUFFIX = '.arrow'
# Files that are mapped at once; a large set has hundreds.
_MOST_MAPPED = 1024


class _Place(NamedTuple):
    file: str
    column: str
    row: int


def embedded_path(file: str | os.PathLike, column: str, row: int, suffix: str = '') -> Path:
    """The path that names an image in an Arrow file.

    Args:
        file: The Arrow file, a stream (IPC) as `datasets` writes it.
        column: The column of its images.
        row: Row in the file.
        suffix: Of the image's own name.
    """
    return Path(file, column, f'{row:08d}{suffix}')


def holding_file(path: str | os.PathLike) -> str | os.PathLike:
    """The file that holds an image: the Arrow file of an embedded one, else the path itself."""
    place = _place(path)
    return path if place is None or os.path.isdir(place.file) else place.file


def read_embedded(path: str | os.PathLike) -> bytes | None:
    """The bytes of an image in an Arrow file; None where the path names no such image, or there is no such file."""
    place = _place(path)
    if place is None or not os.path.isfile(place.file):
        return None
    status = os.stat(place.file)
    table = _mapped(place.file, status.st_mtime_ns, status.st_size)
    if place.column not in table.column_names or not 0 <= place.row < table.num_rows:
        return None
    cell = table[place.column][place.row]
    # Images of `datasets` are structs of bytes and path.
    content = cell['bytes'] if 'bytes' in getattr(cell.type, 'names', ()) else cell
    found = content.as_py() if content.is_valid else None
    return found if isinstance(found, bytes) else None


def mapped_rows(file: str, column: str) -> int | None:
    """How many rows of images an Arrow file has; None where its column has no images that can be read in place."""
    import pyarrow

    try:
        status = os.stat(file)
        table = _mapped(file, status.st_mtime_ns, status.st_size)
    except (OSError, pyarrow.ArrowException):
        return None
    if column not in table.column_names:
        return None
    kind = table.schema.field(column).type
    return table.num_rows if 'bytes' in getattr(kind, 'names', ()) or pyarrow.types.is_binary(kind) else None


def embedded_names(file: str, column: str) -> Iterator[tuple[str | None, bool]]:
    """Of each row of such a file the name that its image had, and whether its bytes are in the row."""
    status = os.stat(file)
    cells = _mapped(file, status.st_mtime_ns, status.st_size)[column]
    for chunk in cells.chunks:
        if not hasattr(chunk, 'field'):
            yield from ((None, valid) for valid in chunk.is_valid().to_pylist())
            continue
        fields = {field.name for field in chunk.type}
        names = chunk.field('path').to_pylist() if 'path' in fields else [None] * len(chunk)
        inside = chunk.field('bytes').is_valid().to_pylist()
        yield from (
            (name if row else None, has_bytes and row)
            for name, has_bytes, row in zip(names, inside, chunk.is_valid().to_pylist(), strict=True)
        )


def _place(path: str | os.PathLike) -> _Place | None:
    folder, name = os.path.split(os.fspath(path))
    file, column = os.path.split(folder)
    row = os.path.splitext(name)[0] if isinstance(name, str) else ''
    if not isinstance(file, str) or not file.endswith(_SUFFIX) or not row.isdecimal():
        return None
    return _Place(file, column, int(row))


@lru_cache(maxsize=_MOST_MAPPED)
def _mapped(file: str, changed: int, size: int) -> Any:
    """The table of an Arrow file as it was when it changed last. No bytes are read for it."""
    import pyarrow

    with pyarrow.memory_map(file) as source, pyarrow.ipc.open_stream(source) as reader:
        return reader.read_all()
