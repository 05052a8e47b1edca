from itertools import combinations

import frontier_picture as frontier
import pytest
from frontier_picture import Point, draw_frontier, pareto
from PIL import Image

POINTS = [
    Point('large', 11.1, 0.42, 'ours'),
    Point('small', 6.1, 0.33, 'ours'),
    Point('large patched', 11.2, 0.418, 'others'),
    Point('small patched', 6.15, 0.328, 'others'),
    Point('n', 8.2, 0.41, 'others'),
    Point('n again', 8.2, 0.41, 'others'),
]


@pytest.fixture
def figures(monkeypatch):
    figures, make = [], frontier.new_figure
    monkeypatch.setattr(frontier, 'new_figure', lambda *args: figures.append(make(*args)) or figures[-1])
    return figures


def test_the_frontier_is_what_no_other_beats_in_both():
    points = [Point('a', 1, 0.2), Point('b', 2, 0.1), Point('c', 3, 0.4), Point('d', 3, 0.3), Point('e', 4, 0.4)]
    assert [point.name for point in pareto(points)] == ['a', 'c']
    assert [point.name for point in pareto(POINTS)] == ['small', 'n', 'n again', 'large']
    assert pareto([]) == []


def test_names_cover_neither_marks_nor_each_other(tmp_path, figures):
    draw_frontier(POINTS, tmp_path / 'a.png')
    with Image.open(tmp_path / 'a.png') as image:
        assert image.format == 'PNG'
    axes = figures[0].axes[0]
    names = [text for text in axes.texts if text.get_text()]
    assert sorted(text.get_text() for text in names) == sorted(point.name for point in POINTS)
    boxes = [text.get_window_extent() for text in names]
    assert not [pair for pair in combinations(boxes, 2) if pair[0].overlaps(pair[1])]
    frame = axes.get_window_extent()
    for box in boxes:
        assert frame.x0 <= box.x0 and box.x1 <= frame.x1 and frame.y0 <= box.y0 and box.y1 <= frame.y1
        for point in POINTS:
            assert not box.contains(*axes.transData.transform((point.ms, point.ap)))


def test_full_marks_are_on_the_line(tmp_path, figures):
    draw_frontier(POINTS, tmp_path / 'a.png')
    axes = figures[0].axes[0]
    assert [line.get_xydata().tolist() for line in axes.lines] == [
        [[6.1, 0.33], [8.2, 0.41], [8.2, 0.41], [11.1, 0.42]]
    ]
    ours, others = axes.collections
    white = [tuple(colour) == (1, 1, 1, 1) for colour in (*ours.get_facecolors(), *others.get_facecolors())]
    assert white == [False, False, True, True, False, False]
    # Families by their marks, not by colour.
    assert len(ours.get_paths()[0].vertices) != len(others.get_paths()[0].vertices)


def test_the_same_points_give_the_same_svg(tmp_path):
    for name in ('a.svg', 'b.svg'):
        draw_frontier(POINTS, tmp_path / name)
    text = (tmp_path / 'a.svg').read_text()
    assert text == (tmp_path / 'b.svg').read_text() and '<svg' in text


def test_one_point_and_wide_ranges(tmp_path, figures):
    draw_frontier([('a', 5.0, 0.4, '')], tmp_path / 'a.png')
    draw_frontier([('a', 1.0, 0.4, ''), ('b', 100.0, 0.5, '')], tmp_path / 'b.png')
    assert [figure.axes[0].get_xscale() for figure in figures] == ['linear', 'log']


def test_mistakes(tmp_path):
    with pytest.raises(ValueError, match='no points'):
        draw_frontier([], tmp_path / 'a.png')
    with pytest.raises(ValueError, match='ends in .png or .svg'):
        draw_frontier(POINTS, tmp_path / 'a.pdf')
