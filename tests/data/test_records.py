import logging
import math
from pathlib import Path

import pytest
import torch
from labelled import as_set, record
from PIL import Image

from mbv3zoo.data.records import DetectionSet, LabelProblems, clean_boxes, find_split
from mbv3zoo.images.colours import class_colour


def clean(boxes, size=(50, 100)):
    problems = LabelProblems(Path('set'))
    rows = torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4)
    kept, keep = clean_boxes(rows, size, [f'line {i}' for i in range(len(rows))], problems)
    return kept.tolist(), keep.tolist(), problems.lines


def test_boxes_inside_are_left_alone():
    boxes = [[0, 0, 100, 50], [10.5, 20.25, 30, 40]]
    assert clean(boxes) == (boxes, [True, True], [])


def test_no_boxes():
    kept, keep, lines = clean([])
    assert (kept, keep, lines) == ([], [], [])


def test_a_box_beyond_the_edge_is_clipped_and_reported():
    kept, keep, lines = clean([[1, 1, 5, 5], [-20, 10, 130, 60]])
    assert kept == [[1, 1, 5, 5], [0, 10, 100, 50]]
    assert keep == [True, True]
    assert len(lines) == 1
    assert lines[0].startswith('line 1: box [-20.0, 10.0, 130.0, 60.0]')
    assert '100 x 50' in lines[0] and lines[0].endswith('clipped')


def test_rounding_by_up_to_a_pixel_is_clipped_and_not_worth_a_word():
    kept, _, lines = clean([[-0.9, 0, 100.9, 50.9]])
    assert kept == [[0, 0, 100, 50]] and lines == []
    assert len(clean([[-1.1, 0, 50, 50]])[2]) == 1


@pytest.mark.parametrize(
    'box',
    [
        [100, 0, 120, 50],  # right of the picture, touching it
        [-9, 5, 0, 9],
        [10, -20, 20, -5],
        [10, 60, 20, 70],
        [10, 10, 10, 20],  # no width
        [10, 20, 30, 20],
        [30, 10, 20, 20],  # turned round
        [math.nan, 0, 10, 10],
        [0, 0, math.inf, 10],
        [-math.inf, 0, 10, 10],
    ],
)
def test_a_box_without_area_in_the_picture_is_dropped_and_reported(box):
    kept, keep, lines = clean([[1, 1, 5, 5], box, [2, 2, 6, 6]])
    assert kept == [[1, 1, 5, 5], [2, 2, 6, 6]]
    assert keep == [True, False, True]
    assert len(lines) == 1
    assert lines[0].startswith('line 1: ') and lines[0].endswith('dropped')


def test_equals_a_slow_loop_on_random_boxes():
    generator = torch.Generator().manual_seed(0)
    boxes = (torch.rand(300, 4, generator=generator) * 160 - 40).round()
    expected, expected_keep, reported = [], [], 0
    for box in boxes.tolist():
        clipped = [min(max(v, 0), limit) for v, limit in zip(box, (100, 50, 100, 50), strict=True)]
        good = clipped[0] < clipped[2] and clipped[1] < clipped[3]
        expected_keep.append(good)
        expected += [clipped] if good else []
        reported += not good or any(abs(a - b) > 1 for a, b in zip(box, clipped, strict=True))
    kept, keep, lines = clean(boxes.tolist())
    assert kept == expected and keep == expected_keep
    assert len(lines) == reported
    assert 20 < len(expected) < 280


def test_what_is_given_is_not_changed():
    boxes = torch.tensor([[-20.0, 10, 130, 60], [math.nan, 0, 1, 1]])
    before = boxes.clone()
    clean_boxes(boxes, (50, 100), ['a', 'b'], LabelProblems(Path('set')))
    assert torch.equal(boxes.nan_to_num(7), before.nan_to_num(7))


def test_problems_are_told_once_with_their_number(caplog):
    problems = LabelProblems(Path('my.yaml'))
    with caplog.at_level(logging.WARNING):
        problems.report()
        assert caplog.records == []
        for i in range(25):
            problems.add(f'a.txt:{i}', 'odd')
        problems.report(limit=20)
    assert len(caplog.records) == 1
    text = caplog.text
    assert 'my.yaml: 25 label problems' in text
    assert 'a.txt:19: odd' in text and 'a.txt:20: odd' not in text
    assert '... and 5 more' in text


def test_the_middle_of_a_very_long_line_is_left_out():
    problems = LabelProblems(Path('my.yaml'))
    problems.add('x' * 5000, 'odd; dropped')
    assert len(problems.lines[0]) < 500 and problems.lines[0].endswith('xx: odd; dropped')


def test_many_problems_are_counted_by_what_became_of_them(caplog):
    problems = LabelProblems(Path('my.yaml'))
    for i in range(25):
        problems.add(f'a.txt:{i}', 'odd; dropped' if i < 20 else 'outside; clipped')
    problems.add('b.txt:1', 'repeats line 0; dropped')
    problems.add('c.png', 'left out: damaged')
    problems.report()
    assert 'my.yaml: 27 label problems (21 dropped, 5 clipped, 1 repeats, 1 left out):' in caplog.text


def test_no_more_is_said_where_all_is_shown(caplog):
    problems = LabelProblems(Path('my.yaml'))
    for i in range(3):
        problems.add(f'a.txt:{i}', 'odd')
    problems.report(limit=3)
    assert 'a.txt:2: odd' in caplog.text and 'more' not in caplog.text


def test_length_of_a_set_is_its_number_of_pictures():
    assert len(DetectionSet([], ('a',))) == 0


@pytest.mark.parametrize(
    ('asked', 'known', 'found'),
    [
        ('train', ['train', 'val'], 'train'),
        ('val', ['train', 'validation'], 'validation'),
        ('val', ['dev', 'valid'], 'valid'),
        ('val', ['validation', 'val'], 'val'),
        ('valid', ['validation', 'valid'], 'valid'),
        ('validation', ['val'], 'val'),
        ('val', ['train', 'test'], None),
        ('train', ['val'], None),
        ('trainval', ['trainval'], 'trainval'),
        ('val', [], None),
    ],
)
def test_the_validation_split_goes_by_many_names(asked, known, found):
    assert find_split(asked, known) == found


def test_a_set_is_one_line_in_a_notebook_and_draws_its_labels(tmp_path):
    Image.new('RGB', (300, 200)).save(tmp_path / 'a.png')
    data = as_set(record(1, [[20, 30, 120, 150]], [1], path=tmp_path / 'a.png'), record(2))
    assert repr(data) == 'DetectionSet(2 images, 1 objects, 3 classes: cat, dog, owl)'
    drawn = data.draw(0)
    assert drawn.size == (300, 200) and drawn.getpixel((20, 100)) == class_colour(1) != drawn.getpixel((200, 100))
    with pytest.raises(ValueError, match='x.png'):
        data.draw(1)
