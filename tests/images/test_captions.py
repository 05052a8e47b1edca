import numpy as np
import pytest

from mbv3zoo.images.captions import place_captions


def overlap(one, other):
    sides = np.minimum(one[2:], other[2:]) - np.maximum(one[:2], other[:2])
    return np.maximum(sides, 0).prod()


def rectangles(boxes, sizes, canvas):
    return [
        np.array([x, y, x + w, y + h])
        for (x, y), (w, h) in zip(place_captions(boxes, sizes, canvas), sizes, strict=True)
    ]


def test_a_box_alone_has_its_caption_above_its_left_end():
    assert place_captions([(50, 60, 150, 120)], [(40, 12)], (200, 200)) == [(50, 48)]
    assert place_captions([], [], (200, 200)) == []


@pytest.mark.parametrize(
    ('box', 'canvas'),
    [
        ((0, 0, 200, 200), (200, 200)),
        ((0, 0, 60, 200), (200, 200)),
        ((180, 180, 200, 200), (200, 200)),
        ((-30, -30, 400, 400), (200, 200)),
        ((300, 300, 400, 400), (200, 200)),
        ((5, 5, 5, 5), (20, 200)),
        ((0, 0, 8, 8), (8, 8)),
    ],
)
def test_captions_lie_inside_the_image_as_far_as_they_fit(box, canvas):
    ((left, top),) = place_captions([box], [(40, 12)], canvas)
    assert 0 <= left <= max(0, canvas[0] - 40) and 0 <= top <= max(0, canvas[1] - 12)


@pytest.mark.parametrize(
    'boxes',
    [
        [(100, 100, 180, 180)] * 2,
        [(100, 100, 180, 180), (102, 98, 181, 178)],
        [(0, 0, 90, 90), (0, 0, 90, 92), (1, 1, 89, 90)],
        [(100, 100, 180, 180), (140, 60, 220, 105)],
        [(100, 300, 180, 400), (100, 298, 180, 400), (101, 299, 181, 400)],
    ],
)
def test_captions_of_boxes_that_nearly_coincide_hide_one_another_nowhere(boxes):
    placed = rectangles(boxes, [(70, 16)] * len(boxes), (400, 400))
    assert all(overlap(a, b) == 0 for i, a in enumerate(placed) for b in placed[:i])


def test_a_small_object_above_a_box_is_not_hidden():
    boxes = [(60, 80, 90, 98), (60, 100, 300, 300)]
    placed = rectangles(boxes, [(60, 16)] * 2, (400, 400))
    assert overlap(placed[1], np.array(boxes[0])) == 0


def test_crowds_are_placed_in_the_same_way_each_time_and_hide_few_captions():
    random = np.random.default_rng(0)
    centres, sides = random.random((50, 2)) * (1280, 720), 20 + random.random((50, 2)) * 150
    boxes = np.concatenate([centres - sides / 2, centres + sides / 2], 1)
    sizes = [(120, 24)] * 50
    placed = rectangles(boxes, sizes, (1280, 720))
    hidden = sum(overlap(a, b) for i, a in enumerate(placed) for b in placed[:i])
    corner = np.clip(boxes[:, :2] - (0, 24), 0, (1160, 696))
    usual = [np.array([x, y, x + 120, y + 24]) for x, y in corner]
    assert hidden < 0.05 * sum(overlap(a, b) for i, a in enumerate(usual) for b in usual[:i])
    assert place_captions(boxes.tolist(), sizes, (1280, 720)) == place_captions(boxes, sizes, (1280, 720))
