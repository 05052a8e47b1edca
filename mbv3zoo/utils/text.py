"""Text: files of text, tables, shortened lines, suggestions for misspelt names."""

from __future__ import annotations

import codecs
import difflib
import json
import os
import re
import reprlib
import stat
import unicodedata
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from mbv3zoo.utils.disk import naming_read

# Directions that go on after the text, marks of annotations, and the byte order mark.
_NO_TEXT = frozenset(map(chr, [*range(0x202A, 0x202F), *range(0x2066, 0x2070), *range(0xFFF9, 0xFFFC), 0xFEFF]))

# Bytes of a text file whose reader states no bound of its own.
TEXT_LIMIT = 16 * 2**20

_short = reprlib.Repr()
_short.maxlevel, _short.maxlist, _short.maxdict, _short.maxstring, _short.maxother = 2, 6, 4, 40, 60


def check_size(path: str | os.PathLike, size: int, limit: int, what: str = '') -> None:
    """Raises ValueError where a file has more bytes than any of its kind: what is read whole is bounded before.

    Args:
        path: Named in the message.
        size, limit: Bytes that it has, and that it may have.
        what: What is expected in it, such as 'settings'.
    """
    if size > limit:
        expected = f'at most {limit} of {what}' if what else f'at most {limit}'
        raise ValueError(f'{os.fspath(path)}: has {size} bytes, expected {expected}; check that it is the right file')


def read_bytes(path: Path, limit: int = TEXT_LIMIT, what: str = '') -> bytes:
    """All bytes of a file; none is read where there are more than `limit`.

    Args:
        path: A file, or what the shell passes as one.
        limit: Most bytes.
        what: What is expected in it, for the message.

    Raises:
        ValueError: There are more bytes, or it is a pipe or a socket in a folder of files.
        OSError: It cannot be read; the message names it.
    """
    with naming_read(path):
        return _read_bytes(path, limit, what)


def _read_bytes(path: Path, limit: int, what: str) -> bytes:
    found = path.stat()
    # Opening a pipe that nobody writes to never ends. Those that a shell passes (`<(...)`) are written to.
    if (stat.S_ISFIFO(found.st_mode) or stat.S_ISSOCK(found.st_mode)) and path.parts[:2] not in (
        (os.sep, 'dev'),
        (os.sep, 'proc'),
    ):
        raise ValueError(f'{path}: is a pipe or a socket, expected a file')
    check_size(path, found.st_size, limit, what)
    with open(path, 'rb') as file:
        # Devices and pipes state no size.
        data = file.read(limit + 1)
    check_size(path, len(data), limit, what)
    return data


def read_text(path: Path, limit: int = TEXT_LIMIT, what: str = '') -> str:
    """The text of a file in UTF-8, with or without a byte order mark; all line ends become newlines.

    Args:
        path, limit, what: As for `read_bytes`.

    Raises:
        ValueError: The file is in another encoding, such as the UTF-16 or Latin-1 of editors on Windows; or it is
            refused by `read_bytes`.
    """
    return decode_text(read_bytes(path, limit, what), path)


def decode_text(data: bytes, path: Path) -> str:
    """The text in the bytes of a file, as `read_text` gives it.

    Raises:
        ValueError: They are in another encoding; the file is named.
    """
    try:
        text = data.decode('utf-8-sig')
        end = text.find('\0')
    except UnicodeDecodeError as error:
        # 'utf-8-sig' counts from after the mark.
        text, end = data.removeprefix(codecs.BOM_UTF8)[: error.start].decode(), error.start
    if end >= 0:
        # UTF-16 has a mark that is not UTF-8, or letters with zero bytes between them.
        what = 'UTF-16' if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) or 0 in data[:4] else 'not UTF-8'
        line = len(text[:end].replace('\r\n', '\n').replace('\r', '\n').split('\n'))
        raise ValueError(f'{path}:{line}: the file is {what} text; save it as UTF-8')
    return text.replace('\r\n', '\n').replace('\r', '\n')


def is_text(character: str) -> bool:
    """Whether a character may stand in a line of text of any script.

    Joiners, direction marks, variation selectors and no-break spaces may, as words and emoji need them. Line ends,
    control characters, lone surrogates, and directions that go on after the text may not.
    """
    category = unicodedata.category(character)
    # Newer emoji are unassigned to an older Python.
    unassigned = category == 'Cn' and not '\U0001f000' <= character < '\U0001fffe'
    return not unassigned and category not in ('Cc', 'Cs', 'Zl', 'Zp') and character not in _NO_TEXT


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """One line per row, columns left-aligned."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ['  '.join(map(str.ljust, row, widths)).rstrip() for row in rows]


def aligned_numbers(rows: Sequence[Sequence[str]]) -> list[str]:
    """As `aligned`, but with all columns after the first right-aligned."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ['  '.join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]) for row in rows]


def one_line(text: str, most: int) -> str:
    """A text on one line of at most `most` characters; cut text ends in '...'."""
    line = ' '.join(text.split())
    return line if len(line) <= most else f'{line[: most - 3]}...'


def shown(value: Any) -> str:
    """A value in an error message: its repr on one line, shortened, as it may be of any size."""
    try:
        return ' '.join(_short.repr(value).split())
    except ValueError:  # Python writes no number of thousands of digits
        return 'a number of thousands of digits'


def printable(text: str) -> str:
    """A text as one line for a terminal: what is no text of a line is escaped, as in Python's literals.

    File names may hold line ends, control characters, and bytes that are not UTF-8.

    Example:
        >>> printable('a\\nb.jpg')
        'a\\\\nb.jpg'
    """
    return ''.join(one if is_text(one) else one.encode('unicode_escape').decode() for one in text)


def json_text(value: Any, indent: int | None = None) -> str:
    """A value as JSON that can be written as UTF-8: in file names that are not, the odd bytes are escaped."""
    return utf8(json.dumps(value, indent=indent, ensure_ascii=False)).decode()


def utf8(text: str) -> bytes:
    """A text as UTF-8. File names that are not UTF-8 have lone surrogates in Python; those are escaped."""
    return text.encode('utf-8', 'backslashreplace')


def is_utf8(path: Path) -> bool:
    """Whether the name of a file, with its folders, is UTF-8."""
    return utf8(str(path)).decode() == str(path)


def nearest(name: str, known: Iterable[str], otherwise: str) -> str:
    """A hint for an unknown name in an error message: up to three similar known names, or `otherwise`."""
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    return f'did you mean {", ".join(near)}?' if near else otherwise


def without_password(address: str) -> str:
    """An address as messages and results name it.

    Example:
        >>> without_password('rtsp://me:secret@host/1')
        'rtsp://me:***@host/1'
    """
    return re.sub(r'(://[^/@:]*):[^/@]*@', r'\1:***@', address)
