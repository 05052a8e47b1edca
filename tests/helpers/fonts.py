"""A font of few characters, each a square of another height, made with fontTools (which comes with matplotlib)."""

from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen


def write_font(path, characters, family='Tiny Test'):
    """A TrueType font whose glyph for a missing character is a wide bar."""
    builder = FontBuilder(1000, isTTF=True)
    names = {character: f'uni{ord(character):04X}' for character in characters}
    builder.setupGlyphOrder(['.notdef', *names.values()])
    builder.setupCharacterMap({ord(character): name for character, name in names.items()})
    heights = {name: 100 + 600 * (i + 1) // len(names) for i, name in enumerate(names.values())}
    builder.setupGlyf({'.notdef': _square(900, 60), **{name: _square(400, high) for name, high in heights.items()}})
    builder.setupHorizontalMetrics(dict.fromkeys(['.notdef', *heights], (1000, 50)))
    builder.setupHorizontalHeader(ascent=800, descent=-200)
    builder.setupNameTable({'familyName': family, 'styleName': 'Regular', 'fullName': family, 'psName': 'TinyTest'})
    builder.setupOS2(sTypoAscender=800, sTypoDescender=-200, usWinAscent=800, usWinDescent=200, usWeightClass=400)
    builder.setupPost()
    builder.save(path)
    return path


def _square(width, height):
    pen = TTGlyphPen(None)
    pen.moveTo((50, 0))
    for point in ((50, height), (50 + width, height), (50 + width, 0)):
        pen.lineTo(point)
    pen.closePath()
    return pen.glyph()
