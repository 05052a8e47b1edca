"""Text: files of text, tables, shortened lines, suggestions for misspelt names."""

from __future__ import annotations

import codecs
import difflib
import json
import reprlib
import unicodedata
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

# Directions that go on after the text, marks of annotations, and the byte order mark.
_NO_TEXT = frozenset(map(chr, [*range(0x202A, 0x202F), *range(0x2066, 0x2070), *range(0xFFF9, 0xFFFC), 0xFEFF]))

_short = reprlib.Repr()
_short.maxlevel, _short.maxlist, _short.maxdict, _short.maxstring, _short.maxother = 2, 6, 4, 40, 60


def read_text(path: Path) -> str:
    """The text of a file in UTF-8, with or without a byte order mark; all line ends become newlines.

    Raises:
        ValueError: The file is in another encoding, such as the UTF-16 or Latin-1 of editors on Windows.
    """
    data = path.read_bytes()
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
