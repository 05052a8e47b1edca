"""Fonts that have the characters of a text: Pillow's own, matplotlib's, and those of the system.

matplotlib is imported for texts with characters that Pillow's own font does not have.
"""

from __future__ import annotations

import unicodedata
import warnings
from collections.abc import Iterable
from functools import cache, lru_cache
from pathlib import Path

from PIL import ImageDraw, ImageFont

# None stands for Pillow's own font.
FontPath = Path | None
# Words in the names of a family's other faces, which come last.
_OTHER_FACES = 'black bold condensed extra heavy italic light medium mono oblique semi serif slanted thin'.split()  # noqa: SIM905
# What fonts need not have: variation selectors and tags, besides Unicode's control and format characters.
_SELECTORS = frozenset([*range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0), 0x034F, 0x115F, 0x1160, 0x3164])
_CJK = frozenset(['BOPOMOFO', 'CJK', 'HANGUL', 'HIRAGANA', 'IDEOGRAPHIC', 'KATAKANA'])
# Fonts to install, and their packages on Debian and Ubuntu.
_ADVICE = {'CJK': 'Noto Sans CJK (fonts-noto-cjk)', 'symbols': 'Symbola (fonts-symbola)'}
# Scripts and kinds of characters that a warning has named.
_told: set[str] = set()


class TextLine:
    """A line of text in fonts that have its characters.

    Args:
        text: Line breaks become spaces.
        size: In pixels.
    """

    def __init__(self, text: str, size: int) -> None:
        self._runs = [(part, _font(path, size)) for part, path in runs(as_line(text))]
        self._ascent = max((font.getmetrics()[0] for _, font in self._runs), default=0)

    @property
    def width(self) -> float:
        """In pixels, with the space that letters take."""
        return sum(font.getlength(part) for part, font in self._runs)

    def box(self, painter: ImageDraw.ImageDraw) -> tuple[float, float, float, float]:
        """The inked part as left, top, right, bottom, in pixels from where the text is put."""
        boxes = [painter.textbbox((x, self._ascent), part, font, anchor='ls') for x, part, font in self._placed()]
        if not boxes:
            return 0, 0, 0, 0
        left, top, right, bottom = zip(*boxes, strict=True)
        return min(left), min(top), max(right), max(bottom)

    def draw(self, painter: ImageDraw.ImageDraw, place: tuple[float, float], fill: tuple[int, int, int]) -> None:
        """Writes the text: `place` is its left end and the top of its tallest letters."""
        for x, part, font in self._placed():
            painter.text((place[0] + x, place[1] + self._ascent), part, fill, font, anchor='ls')

    def _placed(self) -> list[tuple[float, str, ImageFont.FreeTypeFont]]:
        placed, x = [], 0.0
        for part, font in self._runs:
            placed.append((x, part, font))
            x += font.getlength(part)
        return placed


def as_line(text: str) -> str:
    """A text that can be drawn: on one line, and with a sign in place of what is no Unicode (names of files)."""
    return ' '.join(text.split('\n')).encode('utf-8', 'replace').decode('utf-8')


def runs(text: str) -> list[tuple[str, FontPath]]:
    """Splits a text into parts, each with the file of a font that has its characters.

    One font for all is taken where there is one, else that which has the most. Characters that no font has are drawn as
    boxes, and a warning names them, once per script.
    """
    if text.isascii():
        return [(text, None)] if text else []
    needed = _needed(text)
    parts: list[tuple[str, FontPath]] = []
    path: FontPath = None
    for character in text:
        if ord(character) in needed and (not parts or ord(character) not in _characters(path)):
            path = _best_font(ord(character), needed)
        if ord(character) not in needed and ord(character) not in _characters(path):
            continue  # A sign that is not shown would be drawn as a box.
        if parts and parts[-1][1] == path:
            parts[-1] = (parts[-1][0] + character, path)
        else:
            parts.append((character, path))
    _tell_missing(text, needed)
    return parts


def fonts_of(texts: Iterable[str]) -> list[Path]:
    """Files of further fonts with which matplotlib, whose own font comes first, has all characters of these texts."""
    own = matplotlib_font()
    found: list[Path] = []
    for text in texts:
        if text.isascii():
            continue
        needed = _needed(text)
        for code in sorted(needed):
            if not any(code in _characters(path) for path in (own, *found)):
                path = _best_font(code, needed)
                if path and code in _characters(path):
                    found.append(path)
        _tell_missing(text, needed)
    return found


@cache
def matplotlib_font() -> Path:
    """DejaVu Sans, which comes with matplotlib: Latin, Greek, Cyrillic, Arabic, Hebrew and more."""
    import matplotlib

    return Path(matplotlib.get_data_path(), 'fonts', 'ttf', 'DejaVuSans.ttf')


@cache
def system_fonts() -> tuple[Path, ...]:
    """Files of the system's fonts, sans-serif regular faces first."""
    # Looked for anew, as a font that was installed since is in no cache of matplotlib's.
    from matplotlib.font_manager import findSystemFonts

    def order(path: Path) -> tuple[bool, int, str]:
        name = path.stem.lower()
        return 'sans' not in name, sum(word in name for word in _OTHER_FACES), name

    # macOS has a font that shows any character as a box.
    return tuple(sorted((p for p in map(Path, findSystemFonts()) if 'lastresort' not in p.stem.lower()), key=order))


@cache
def _characters(path: FontPath) -> frozenset[int]:
    """Code points that a font has; none if it cannot be drawn in any size."""
    if path is None:
        # Of Pillow's own font, which is cut down.
        return frozenset(range(0x20, 0x7F))
    from matplotlib.ft2font import FT2Font

    try:
        ImageFont.truetype(str(path), 12)  # fails for bitmaps of one size, as colour emoji are
        return frozenset(FT2Font(str(path)).get_charmap())
    except (OSError, RuntimeError, ValueError):
        return frozenset()


@lru_cache(maxsize=4096)
def _best_font(code: int, needed: frozenset[int]) -> FontPath:
    """Of the fonts that have a character the one with the most of those needed; matplotlib's if none has it."""
    near: tuple[FontPath, ...] = (None, matplotlib_font())
    # The system's fonts are not looked for where the others do.
    paths = near if any(needed <= _characters(path) for path in near) else (*near, *system_fonts())
    having = [path for path in paths if code in _characters(path)]
    return max(having, key=lambda path: len(needed & _characters(path)), default=matplotlib_font())


@lru_cache(maxsize=64)
def _font(path: FontPath, size: int) -> ImageFont.FreeTypeFont:
    font = ImageFont.load_default(size=size) if path is None else ImageFont.truetype(str(path), size)
    assert isinstance(font, ImageFont.FreeTypeFont)
    return font


def _needed(text: str) -> frozenset[int]:
    """Code points of a text that have a shape of their own."""
    return frozenset(ord(c) for c in text if unicodedata.category(c) not in ('Cc', 'Cf') and ord(c) not in _SELECTORS)


def _tell_missing(text: str, needed: frozenset[int]) -> None:
    """Warns about characters that no font has, once per script."""
    paths = (matplotlib_font(), *system_fonts()) if not needed <= _characters(matplotlib_font()) else ()
    missing = [chr(code) for code in sorted(needed) if paths and not any(code in _characters(path) for path in paths)]
    scripts = {_script(character) for character in missing}
    if not scripts - _told:
        return
    script = min(scripts - _told)
    _told.update(scripts)
    font = _ADVICE.get(script, f'Noto Sans for {script.title()} (fonts-noto-core)')
    characters = ' '.join(f'{character} (U+{ord(character):04X})' for character in missing[:8])
    warnings.warn(
        f'no font on this system has {characters} of {text!r}, so that boxes are drawn in their place; '
        f'install one that does, such as {font}',
        stacklevel=2,
    )


def _script(character: str) -> str:
    """The first word of a letter's name, such as THAI; CJK for those of East Asia, and symbols for symbols."""
    if unicodedata.category(character)[0] not in 'LM':
        return 'symbols'
    word = unicodedata.name(character, 'symbols').partition(' ')[0].partition('-')[0]
    return 'CJK' if word in _CJK else word
