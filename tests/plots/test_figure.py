import pytest
from PIL import Image
from warm_python import run_code

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
