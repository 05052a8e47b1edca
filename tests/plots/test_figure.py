import warnings

import numpy as np
import pytest
from fonts import write_font
from PIL import Image
from warm_python import run_code

from mbv3zoo.images import fonts
from mbv3zoo.plots.figure import new_figure, plain_axes, save_figure, shown_name


def test_whole_or_not_at_all(tmp_path):
    figure = new_figure(3, 2, 'title')
    plain_axes(figure.subplots(), 'a', 'x', 'y')
    save_figure(figure, tmp_path / 'a.png')
    with Image.open(tmp_path / 'a.png') as image:
        assert image.format == 'PNG' and image.size == (360, 240)
    before = (tmp_path / 'a.png').read_bytes()
    # Text that cannot be set: the drawing fails, not the opening of the file.
    figure.suptitle('$\\nonsense{$')
    with pytest.raises(ValueError):
        save_figure(figure, tmp_path / 'a.png')
    assert [path.name for path in tmp_path.iterdir()] == ['a.png'] and (tmp_path / 'a.png').read_bytes() == before
    with pytest.raises(OSError, match='could not write b.png'):
        save_figure(new_figure(1, 1, ''), tmp_path / 'none' / 'b.png')


def test_names_are_written_as_they_are(tmp_path):
    assert shown_name('traffic  light\n') == 'traffic light'
    assert shown_name('a' * 40, 10) == 'aaaaaaa...' and shown_name('a' * 10, 10) == 'a' * 10
    figure = new_figure(3, 2, shown_name('$\\nonsense{$'))
    save_figure(figure, tmp_path / 'a.png')


def named_plot(path, name):
    """A plot with a name in each place where there is one."""
    figure = new_figure(3, 2, name)
    axes = figure.subplots()
    plain_axes(axes, name, name, name)
    axes.set_xticks([0, 1], [name, 'cat'])
    axes.plot([0, 1], label=name)
    figure.legend(loc='outside right upper', title=name)
    save_figure(figure, path)
    with Image.open(path) as image:
        return np.asarray(image.convert('L')).astype(int)


@pytest.fixture
def no_fonts(monkeypatch):
    monkeypatch.setattr(fonts, 'system_fonts', lambda: ())
    monkeypatch.setattr(fonts, '_told', set())
    fonts._best_font.cache_clear()
    yield
    fonts._best_font.cache_clear()


@pytest.mark.filterwarnings('error')
def test_names_are_drawn_in_a_font_that_has_them(tmp_path, no_fonts, monkeypatch):
    path = write_font(tmp_path / 'a.ttf', '猫犬')
    monkeypatch.setattr(fonts, 'system_fonts', lambda: (path,))
    cat, dog = (named_plot(tmp_path / 'a.png', name) for name in '猫犬')
    assert cat.shape == dog.shape and (cat != dog).sum() > 6 * 20
    assert (named_plot(tmp_path / 'a.png', 'кошка') != named_plot(tmp_path / 'a.png', 'шокак')).any()


def test_a_name_that_no_font_has_is_told_once(tmp_path, no_fonts):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter('always')
        for name in '猫犬':
            named_plot(tmp_path / 'a.png', name)
    (message,) = [str(warning.message) for warning in caught]
    assert "no font on this system has 猫 (U+732B) of '猫'" in message and 'Noto Sans CJK' in message


def test_a_name_that_is_no_unicode_is_drawn(tmp_path):
    assert shown_name('caf\udce9') == 'caf?'
    named_plot(tmp_path / 'a.png', shown_name('caf\udce9'))


def test_matplotlib_is_imported_only_where_it_is_used():
    code = """
import sys
import mbv3zoo, mbv3zoo.cli.main, mbv3zoo.evaluation.run, mbv3zoo.plots, mbv3zoo.prediction.predict
assert 'matplotlib' not in sys.modules
import mbv3zoo.plots.curves, mbv3zoo.plots.report
assert 'matplotlib' in sys.modules and 'matplotlib.pyplot' not in sys.modules
"""
    result = run_code(code)
    assert result.returncode == 0, result.stderr
