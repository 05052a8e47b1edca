import numpy as np
import pytest
from labelled import found, random_pictures, record
from PIL import Image

from mbv3zoo.data.detection_set import DetectionSet
from mbv3zoo.evaluation.f1 import f1_curve
from mbv3zoo.plots import f1


@pytest.fixture
def drawn(tmp_path, monkeypatch):
    """Draws a curve; returns the figure."""

    def draw(curve):
        figures, save = [], f1.save_figure
        monkeypatch.setattr(f1, 'save_figure', lambda figure, path: (figures.append(figure), save(figure, path)))
        f1.plot_f1(curve, tmp_path / 'a.png')
        with Image.open(tmp_path / 'a.png') as image:
            assert image.format == 'PNG'
        return figures[0]

    return draw


def test_classes_mean_and_best_threshold(drawn):
    curve = f1_curve(*random_pictures(0))
    figure = drawn(curve)
    best, thresh = curve.best
    assert figure.get_suptitle() == f'F1 at an IoU of 0.5: best {best:.3f} at a score of {thresh:.2f}'
    mean, *classes, line = figure.axes[0].lines
    np.testing.assert_array_equal(mean.get_ydata(), curve.mean)
    assert len(classes) == 2 and line.get_xdata() == [thresh, thresh]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ['mean of 2 classes', 'cat', 'dog']


def test_many_classes_and_nothing_to_find(drawn):
    names = tuple(f'_class ${i}' for i in range(30))
    labels = list(range(29))
    known = DetectionSet([record(1, [[1, 1, 9, 9]] * 29, labels)], names)
    figure = drawn(f1_curve(known, [found([[1, 1, 9, 9]] * 29, [0.5] * 29, labels, names=names)]))
    assert len(figure.axes[0].lines) == 31 and len(figure.legends[0].get_texts()) == 1
    empty = drawn(f1_curve(DetectionSet([], names), []))
    assert empty.get_suptitle() == 'F1 at an IoU of 0.5' and not empty.axes[0].lines
