import pytest
import torch

from mbv3zoo.data.boxes import clip_boxes, fitting_scales
from mbv3zoo.images.letterbox import Letterbox


def slow_clip(boxes, labels, height, width):
    """The rule, one box after the other."""
    kept = []
    for (x1, y1, x2, y2), label in zip(boxes.tolist(), labels.tolist(), strict=True):
        left, right = (min(max(x, 0), width) for x in (x1, x2))
        top, bottom = (min(max(y, 0), height) for y in (y1, y2))
        visible = (right - left) * (bottom - top)
        if right - left >= 2 and bottom - top >= 2 and visible * 10 >= (x2 - x1) * (y2 - y1):
            kept.append((left, top, right, bottom, label))
    return kept


def test_equals_the_slow_loop():
    generator = torch.Generator().manual_seed(1)
    # Whole numbers, so that sides of exactly 2 and shares of exactly a tenth occur and no rounding decides.
    corner = torch.randint(-60, 130, (4000, 2), generator=generator).float()
    side = torch.randint(1, 60, (4000, 2), generator=generator).float()
    boxes, labels = torch.cat([corner, corner + side], 1), torch.arange(4000)
    kept, kept_labels = clip_boxes(boxes, labels, 70, 100)
    expected = slow_clip(boxes, labels, 70, 100)
    assert [(*box, label) for box, label in zip(kept.tolist(), kept_labels.tolist(), strict=True)] == expected
    assert 1000 < len(expected) < 3500


@pytest.mark.parametrize(
    ('box', 'expected'),
    [
        ([10, 10, 12, 12], [10, 10, 12, 12]),
        ([10, 10, 11.9, 30], None),  # under two pixels
        ([-8, 10, 2, 20], [0, 10, 2, 20]),
        ([-18, 10, 2, 20], [0, 10, 2, 20]),  # a tenth is left
        ([-19, 10, 2, 20], None),  # less than a tenth
        ([90, 60, 110, 80], [90, 60, 100, 70]),
        ([-500, -500, 500, 500], None),  # all around the canvas, and under a tenth of it shows
        ([-20, -20, 120, 90], [0, 0, 100, 70]),
        ([100, 10, 120, 20], None),
        ([-20, 10, 0, 20], None),
    ],
)
def test_single_boxes(box, expected):
    kept, labels = clip_boxes(torch.tensor([box], dtype=torch.float32), torch.tensor([3]), 70, 100)
    assert kept.tolist() == ([expected] if expected else []) and labels.tolist() == ([3] if expected else [])


def test_no_boxes():
    kept, labels = clip_boxes(torch.zeros(0, 4), torch.zeros(0, dtype=torch.int64), 70, 100)
    assert kept.shape == (0, 4) and labels.shape == (0,) and labels.dtype == torch.int64


def test_what_is_given_is_not_changed():
    boxes = torch.tensor([[-5.0, -5, 50, 50]])
    clip_boxes(boxes, torch.tensor([0]), 20, 20)
    assert boxes.tolist() == [[-5, -5, 50, 50]]


def test_scales_of_many_images_are_those_of_each():
    sizes = torch.randint(1, 5000, (200, 2), generator=torch.Generator().manual_seed(0))
    for target in ((320, 320), (224, 416)):
        assert fitting_scales(sizes, target).tolist() == [Letterbox.fit(tuple(s), target).scale for s in sizes.tolist()]
    assert fitting_scales(sizes[:0], (320, 320)).tolist() == []
