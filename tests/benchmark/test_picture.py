import pytest
from PIL import Image

from mbv3zoo.benchmark import picture
from mbv3zoo.benchmark.picture import draw_latency
from mbv3zoo.benchmark.rows import Row


@pytest.fixture
def drawn(tmp_path, monkeypatch):
    """Draws rows; returns the axes."""

    def draw(rows):
        figures, save = [], picture.save_figure
        monkeypatch.setattr(picture, 'save_figure', lambda figure, path: (figures.append(figure), save(figure, path)))
        draw_latency(rows, tmp_path / 'a.png')
        with Image.open(tmp_path / 'a.png') as image:
            assert image.format == 'PNG'
        return figures[0].axes[0]

    return draw


def row(model, runtime, ms, size=64, batch=1):
    return Row(model, runtime, (size, size), batch, ms, ms * 0.9, ms * 1.2)


def test_a_bar_for_each_row_with_figures(drawn):
    rows = [row('a', 'eager', 10), row('b/c$.onnx', 'eager', 5), Row('a', 'openvino', None, 1, error='not installed')]
    axes = drawn([*rows, row('b/c$.onnx', 'openvino', 4, 96, 2)])
    # First a's, then b's; those of errors are missing.
    assert [bar.get_height() for bars in axes.containers if hasattr(bars, 'patches') for bar in bars] == [10, 5, 4]
    assert [label.get_text() for label in axes.get_xticklabels()] == ['eager\n64, batch 1', 'openvino\n96, batch 2']
    assert [text.get_text() for text in axes.figure.legends[0].get_texts()] == ['a', 'c\\$.onnx']
    lefts = [bar.get_x() for bars in axes.containers if hasattr(bars, 'patches') for bar in bars]
    assert lefts[0] < lefts[1] < 0.5 < lefts[2] and axes.get_yscale() == 'linear'


def test_short_bars_do_not_vanish(drawn):
    assert drawn([row('a', 'eager', 1), row('a', 'eager', 500, 640)]).get_yscale() == 'log'


def test_paths_are_told_apart(drawn):
    axes = drawn([row('x/model.onnx', 'eager', 1), row('y/model.onnx', 'eager', 2)])
    assert [text.get_text() for text in axes.figure.legends[0].get_texts()] == ['x/model.onnx', 'y/model.onnx']


def test_nothing_was_measured(drawn):
    assert [text.get_text() for text in drawn([]).texts] == ['nothing was measured']
