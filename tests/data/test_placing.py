import numpy as np
import pytest
import torch
from markers import COLOURS, GROUND, draw_markers, marker_box

from mbv3zoo.data.placing import place, scaled, uniform
from mbv3zoo.images.letterbox import PAD_VALUE


def drawn(height=50, width=60, labels=(0, 7)):
    return draw_markers(np.random.default_rng(1), height, width, list(labels))


def test_helpers_see_markers():
    image, boxes, labels = drawn()
    assert [marker_box(image, label) for label in labels.tolist()] == boxes.tolist()
    assert marker_box(image, 1) is None and GROUND != PAD_VALUE and len(set(COLOURS)) == 8


@pytest.mark.parametrize('size', [(50, 60), (100, 120), (73, 41), (20, 90), (1, 2)])
def test_boxes_are_scaled_by_the_ratio_of_the_sides(size):
    sample = drawn()
    image, boxes, labels = scaled(sample, size)
    assert image.shape == (3, *size) and image.dtype == torch.uint8 and torch.equal(labels, sample[2])
    expected = sample[1].double() * torch.tensor([size[1] / 60, size[0] / 50] * 2, dtype=torch.float64)
    torch.testing.assert_close(boxes.double(), expected, rtol=1e-6, atol=1e-6)
    if min(size) >= 20:
        for box, label in zip(boxes.tolist(), labels.tolist(), strict=True):
            np.testing.assert_allclose(marker_box(image, label), box, atol=1.01)


def test_its_own_size_changes_nothing():
    sample = drawn()
    assert all(torch.equal(a, b) for a, b in zip(scaled(sample, (50, 60)), sample, strict=True))


def test_the_layout_in_memory_does_not_matter():
    # Files decode to [H, W, C]; what is composed is [C, H, W].
    image, boxes, labels = drawn()
    other = image.permute(1, 2, 0).contiguous().permute(2, 0, 1)
    for size in ((31, 47), (77, 99)):
        assert torch.equal(scaled((image, boxes, labels), size)[0], scaled((other, boxes, labels), size)[0])


@pytest.mark.parametrize('top', [-80, -50, -49, -7, 0, 3, 39, 40, 90])
@pytest.mark.parametrize('left', [-70, -60, -1, 0, 20, 29, 30, 31])
def test_what_fits_is_copied_and_all_else_stays(top, left):
    image, boxes, labels = drawn()
    canvas = torch.full((3, 40, 30), 9, dtype=torch.uint8)
    expected = canvas.clone()
    for y in range(50):
        for x in range(60):
            if 0 <= y + top < 40 and 0 <= x + left < 30:
                expected[:, y + top, x + left] = image[:, y, x]
    moved = place(canvas, (image, boxes, labels), top, left)
    assert torch.equal(canvas, expected)
    assert torch.equal(moved, boxes + torch.tensor([left, top, left, top]))


def test_pictures_without_boxes():
    image, boxes, labels = drawn(labels=())
    assert scaled((image, boxes, labels), (10, 12))[1].shape == (0, 4)
    assert place(torch.zeros(3, 70, 70, dtype=torch.uint8), (image, boxes, labels), 5, 5).shape == (0, 4)


def test_what_is_given_is_not_changed():
    sample = drawn()
    before = [part.clone() for part in sample]
    place(torch.zeros(3, 40, 30, dtype=torch.uint8), scaled(sample, (25, 33)), -3, 4)
    place(torch.zeros(3, 40, 30, dtype=torch.uint8), sample, -3, 4)
    assert all(torch.equal(part, old) for part, old in zip(sample, before, strict=True))


def test_uniform_numbers_come_from_torchs_generator():
    torch.manual_seed(0)
    numbers = [uniform(-2, 3) for _ in range(2000)]
    torch.manual_seed(0)
    assert numbers == [uniform(-2, 3) for _ in range(2000)]
    assert -2 <= min(numbers) < -1.9 and 2.9 < max(numbers) <= 3 and abs(np.mean(numbers) - 0.5) < 0.15
    assert uniform(1, 1) == 1
