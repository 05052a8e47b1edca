import numpy as np
import pytest
from PIL import Image

from mbv3zoo.evaluation.metrics import PrecisionRecall
from mbv3zoo.plots import precision_recall
from mbv3zoo.plots.precision_recall import plot_precision_recall


def curves_of(classes, without=()):
    precision = np.sort(np.random.default_rng(0).random((classes, 101)))[:, ::-1]
    precision[list(without)] = np.nan
    names = tuple(f'_class ${i}' for i in range(classes))
    return PrecisionRecall(names, np.linspace(0, 1, 101), precision, precision.mean(1))


@pytest.fixture
def drawn(tmp_path, monkeypatch):
    """Draws curves; returns the axes' lines and the legend's texts."""

    def draw(curves):
        figures, save = [], precision_recall.save_figure
        monkeypatch.setattr(
            precision_recall, 'save_figure', lambda figure, path: (figures.append(figure), save(figure, path))
        )
        plot_precision_recall(curves, tmp_path / 'a.png')
        with Image.open(tmp_path / 'a.png') as image:
            assert image.format == 'PNG' and image.size == (1080, 720)
        legends = figures[0].legends
        return figures[0].axes[0].lines, [text.get_text() for text in legends[0].get_texts()] if legends else []

    return draw


def test_few_classes_are_all_named_the_best_first(drawn):
    curves = curves_of(20, without=[3])
    lines, texts = drawn(curves)
    assert len(lines) == len(texts) == 20 and texts[0].endswith('mean of 19 classes')
    figures = [float(text.split()[0]) for text in texts[1:]]
    assert figures == sorted(figures, reverse=True)
    assert figures == pytest.approx(sorted(np.delete(curves.ap50, 3))[::-1], abs=5e-4)
    assert not any('$3' in text for text in texts)
    np.testing.assert_allclose(lines[0].get_ydata(), np.delete(curves.precision, 3, 0).mean(0))
    assert lines[0].get_linewidth() > 2 * lines[1].get_linewidth()
    # No two lines look the same.
    assert len({(line.get_color(), line.get_linestyle()) for line in lines}) == 20


def test_of_many_classes_the_ends_are_named(drawn):
    curves = curves_of(80, without=[7])
    lines, texts = drawn(curves)
    order = [int(i) for i in np.argsort(-curves.ap50)][:79]
    assert len(lines) == 80
    assert [text.split('$')[1] for text in texts[1:]] == [str(i) for i in order[:5] + order[-5:]]


def test_one_class_and_none(drawn):
    lines, texts = drawn(curves_of(1))
    assert len(lines) == len(texts) == 1
    assert [len(part) for part in drawn(curves_of(3, without=[0, 1, 2]))] == [0, 0]
