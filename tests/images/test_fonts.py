import subprocess
import sys
import warnings

import numpy as np
import pytest
from fonts import write_font
from PIL import Image, ImageDraw, ImageFont

from mbv3zoo.images import fonts
from mbv3zoo.images.fonts import TextLine, as_line, fonts_of, matplotlib_font, runs, system_fonts


@pytest.fixture
def system(monkeypatch):
    """Sets the files of the system's fonts; nothing has been warned of."""

    def use(*paths):
        monkeypatch.setattr(fonts, 'system_fonts', lambda: paths)

    monkeypatch.setattr(fonts, '_told', set())
    fonts._best_font.cache_clear()
    use()
    yield use
    fonts._best_font.cache_clear()


def drawn(text, size=20):
    image = Image.new('L', (400, 40))
    TextLine(text, size).draw(ImageDraw.Draw(image), (4, 4), 255)
    return np.asarray(image)


@pytest.mark.parametrize('text', ['umbrella 0.97', 'jump {[(|)]} ~ @', '', ' ', 'a\tb'])
def test_ascii_is_drawn_as_pillow_does(text):
    font = ImageFont.load_default(size=20)
    image = Image.new('L', (400, 40))
    painter = ImageDraw.Draw(image)
    painter.text((4, 4), text, 255, font)
    assert np.array_equal(drawn(text), np.asarray(image))
    line = TextLine(text, 20)
    assert line.width == font.getlength(text)
    if text:
        assert line.box(painter) == painter.textbbox((0, 0), text, font)


def test_ascii_imports_no_matplotlib():
    code = 'import sys\nfrom mbv3zoo.images.fonts import TextLine, runs\nTextLine("cat 0.97", 12)\n'
    done = subprocess.run([sys.executable, '-c', f'{code}assert "matplotlib" not in sys.modules'], capture_output=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize('text', ['кошка', 'γάτα', 'گربه', 'می‌خواهم', 'חתול', 'café', 'հայ', '😀', '❤️', 'a\u00a0b'])
@pytest.mark.filterwarnings('error')
def test_what_the_font_of_matplotlib_has_is_drawn_in_it(system, text):
    assert runs(f'{text} 0.97') == [(f'{text} 0.97', matplotlib_font())]
    missing = ImageFont.truetype(str(matplotlib_font()), 20).getmask('\uffff')
    for character in set(text) - {'\u200c', '\ufe0f', '\u00a0'}:
        mask = ImageFont.truetype(str(matplotlib_font()), 20).getmask(character)
        assert bytes(mask) != bytes(missing) or mask.size != missing.size


@pytest.mark.filterwarnings('error')
def test_other_characters_are_drawn_in_a_font_of_the_system(tmp_path, system):
    (tmp_path / 'broken.ttf').write_bytes(b'no font')
    path = write_font(tmp_path / 'sans.ttf', '猫犬 .0123456789')
    system(tmp_path / 'broken.ttf', tmp_path / 'gone.ttf', path)
    assert runs('猫 0.97') == [('猫 0.97', path)]
    assert not np.array_equal(drawn('猫'), drawn('犬'))
    # A sign that joins others and that the font has not is left out.
    assert runs('猫\u200d犬\ufe0f') == [('猫犬', path)]


@pytest.mark.filterwarnings('error')
def test_the_font_with_the_most_characters_is_taken(tmp_path, system):
    few, more = write_font(tmp_path / 'few.ttf', '猫'), write_font(tmp_path / 'more.ttf', '猫犬')
    system(few, more)
    assert runs('犬猫') == [('犬猫', more)]
    assert runs('猫犬') == [('猫犬', more)] and runs('猫') == [('猫', few)]


@pytest.mark.filterwarnings('error')
def test_scripts_that_no_font_has_together_are_drawn_in_several(tmp_path, system):
    cat, thai = write_font(tmp_path / 'cat.ttf', '猫'), write_font(tmp_path / 'thai.ttf', 'แมว')
    system(cat, thai)
    assert runs('猫 แมว') == [('猫', cat), (' ', None), ('แมว', thai)]
    parts = TextLine('猫', 20), TextLine(' ', 20), TextLine('แมว', 20)
    line = TextLine('猫 แมว', 20)
    painter = ImageDraw.Draw(Image.new('L', (1, 1)))
    assert line.width == sum(part.width for part in parts)
    left, _, right, _ = line.box(painter)
    assert left < 5 and right > line.width - 15
    assert drawn('猫 แมว')[:, 60:].any()


def test_characters_without_a_font_are_told_once_per_script(system):
    with pytest.warns(UserWarning) as caught:
        for text in ('猫 0.97', '猫 0.52', '犬', '개', 'かな', 'แมว', 'บ้าน', '\U0001f408', '\U0001f415 0.5', 'кошка'):
            assert ''.join(part for part, _ in runs(text)) == text
    messages = [str(warning.message) for warning in caught]
    assert len(messages) == 3
    for message, what, font in zip(
        messages,
        ['猫 (U+732B)', 'ม (U+0E21)', '(U+1F408)'],
        ['Noto Sans CJK', 'Noto Sans for Thai', 'Symbola'],
        strict=True,
    ):
        assert message.startswith('no font on this system has ') and what in message and font in message
        assert '\n' not in message
    assert "of '猫 0.97'" in messages[0]


def test_texts_that_are_no_unicode_or_have_several_lines_are_drawn(system):
    assert as_line('caf\udce9\nbar') == 'caf? bar'
    assert drawn('caf\udce9\nbar').any()


@pytest.mark.filterwarnings('error')
def test_fonts_for_plots(tmp_path, system):
    cat, thai = write_font(tmp_path / 'cat.ttf', '猫'), write_font(tmp_path / 'thai.ttf', 'แมว')
    system(cat, thai)
    assert fonts_of(['cat', 'кошка', '']) == [] == fonts_of([])
    assert fonts_of(['cat', '猫', 'кошка 猫']) == [cat]
    assert sorted(fonts_of(['แมว', '猫', 'แ'])) == [cat, thai]


def test_fonts_of_this_system_can_be_listed():
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        found = system_fonts()
    assert all(path.suffix for path in found) and len(set(found)) == len(found)
    assert not [path for path in found if 'lastresort' in path.name.lower()]
