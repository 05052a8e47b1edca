import math
from pathlib import Path

import pytest
import torch

from mbv3zoo.data.cleaning import clean_boxes
from mbv3zoo.data.problems import LabelProblems


def clean(boxes, size=(50, 100)):
    problems = LabelProblems(Path('set'))
    rows = torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4)
    clipped, keep = clean_boxes(rows, torch.tensor([size] * len(rows)).reshape(-1, 2), 'line {}'.format, problems)
    return clipped[keep].tolist(), keep.tolist(), problems.lines


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
    clean_boxes(boxes, torch.tensor([[50, 100]] * 2), str, LabelProblems(Path('set')))
    assert torch.equal(boxes.nan_to_num(7), before.nan_to_num(7))


def test_each_box_is_clipped_to_its_own_image():
    problems = LabelProblems(Path('set'))
    sizes = torch.tensor([[50, 100], [10, 20]])
    clipped, keep = clean_boxes(torch.tensor([[0.0, 0, 60, 60], [0, 0, 60, 60]]), sizes, str, problems)
    assert clipped.tolist() == [[0, 0, 60, 50], [0, 0, 20, 10]] and keep.all()
    assert 'picture of 100 x 50' in problems.lines[0] and 'picture of 20 x 10' in problems.lines[1]
