import numpy as np
import pytest
import torch
from markers import draw_markers, marker_box, marker_mask

from mbv3zoo.data.boxes import clip_boxes
from mbv3zoo.data.mosaic import mosaic
from mbv3zoo.images.letterbox import PAD_VALUE

SIZES = ((60, 90), (120, 64), (33, 47), (200, 150))


def four(seed, sizes=SIZES):
    """Four pictures of two markers each, every marker of a colour of its own."""
    rng = np.random.default_rng(seed)
    return [draw_markers(rng, height, width, [2 * i, 2 * i + 1]) for i, (height, width) in enumerate(sizes)]


def made(seed, size=(96, 128), scale=0.5, images=None):
    torch.manual_seed(seed)
    return mosaic(images or four(seed), size, scale)


def test_boxes_move_with_their_pixels():
    size, shown, hidden = (96, 128), 0, 0
    for seed in range(40):
        image, boxes, labels = made(seed, size)
        assert image.shape == (3, *size) and image.dtype == torch.uint8
        assert len(boxes) == len(labels) == 8 and boxes.dtype == torch.float32
        kept, kept_labels = clip_boxes(boxes, labels, *size)
        for box, label in zip(kept.tolist(), kept_labels.tolist(), strict=True):
            np.testing.assert_allclose(marker_box(image, label), box, atol=1.01)
            shown += 1
        # What has lost its box shows next to nothing.
        area = (boxes[:, 2:] - boxes[:, :2]).prod(1)
        for label in set(range(8)) - set(kept_labels.tolist()):
            seen = marker_mask(image, label).sum()
            box = marker_box(image, label)
            assert box is None or seen < 0.15 * area[labels == label] or min(box[2] - box[0], box[3] - box[1]) <= 3
            hidden += 1
    assert shown > 150 and hidden > 20


def test_boxes_are_not_clipped():
    # All of an image beyond the canvas: its boxes are too, in the place where they would be.
    images = four(0)
    outside = 0
    for seed in range(10):
        _, boxes, _ = made(seed, (64, 64), 0.9, images)
        outside += int(((boxes < 0) | (boxes > 64)).any(1).sum())
        for i, (image, own, _) in enumerate(images):
            moved = boxes[2 * i : 2 * i + 2]
            ratio = (moved[:, 2:] - moved[:, :2]) / (own[:, 2:] - own[:, :2])
            # One scale for the whole picture, to the rounding of its sides to whole pixels.
            assert ratio.max() - ratio.min() <= 1 / min(image.shape[1:]) + 1e-4
    assert outside > 5


def test_each_picture_has_its_quarter_and_the_rest_is_grey():
    for seed in range(10):
        image, _, _ = made(seed, (100, 140), scale=0.5)
        masks = [marker_mask(image, 2 * i) | marker_mask(image, 2 * i + 1) for i in range(4)]
        centres = []
        for mask in masks:
            rows, columns = mask.nonzero(as_tuple=True)
            centres.append((rows.float().mean(), columns.float().mean()) if len(rows) else None)
        for upper, lower in ((0, 2), (1, 3)):
            assert None in (centres[upper], centres[lower]) or centres[upper][0] < centres[lower][0]
        for left, right in ((0, 1), (2, 3)):
            assert None in (centres[left], centres[right]) or centres[left][1] < centres[right][1]


def test_scale_0_fits_each_picture_to_the_canvas():
    size = (96, 128)
    white = [(torch.full((3, *s), 255, dtype=torch.uint8), torch.tensor([[0.0, 0, s[1], s[0]]]), torch.tensor([i]))
             for i, s in enumerate(SIZES)]  # fmt: skip
    image, boxes, labels = made(0, size, 0.0, white)
    side = boxes[:, 2:] - boxes[:, :2]
    for (height, width), (new_width, new_height) in zip(SIZES, side.tolist(), strict=True):
        factor = min(size[0] / height, size[1] / width)
        assert new_width == pytest.approx(width * factor, abs=0.51)
        assert new_height == pytest.approx(height * factor, abs=0.51)
    assert labels.tolist() == [0, 1, 2, 3]
    # All four have a corner at one point, and the point is in the middle half.
    boxes = boxes.round(decimals=3)
    right, bottom = boxes[0, 2:].tolist()
    assert boxes[3, :2].tolist() == boxes[[1, 2], [0, 1]].tolist() == boxes[[2, 1], [2, 3]].tolist() == [right, bottom]
    assert 24 <= bottom <= 72 and 32 <= right <= 96
    # What is white is what the boxes cover; all else is padding.
    covered = torch.zeros(size, dtype=torch.bool)
    for x1, y1, x2, y2 in boxes.int().clamp(min=0).tolist():
        covered[y1:y2, x1:x2] = True
    assert torch.equal(image[0], torch.where(covered, 255, PAD_VALUE).to(torch.uint8))


def test_pictures_without_boxes():
    images = [(torch.zeros(3, 20, 30, dtype=torch.uint8), torch.zeros(0, 4), torch.zeros(0, dtype=torch.int64))] * 4
    image, boxes, labels = made(0, (64, 64), 0.5, images)
    assert image.shape == (3, 64, 64) and boxes.shape == (0, 4) and labels.shape == (0,)
    images[2] = draw_markers(np.random.default_rng(0), 40, 40, [5])
    image, boxes, labels = made(0, (64, 64), 0.0, images)
    assert labels.tolist() == [5]
    kept = clip_boxes(boxes, labels, 64, 64)[0]
    np.testing.assert_allclose(marker_box(image, 5), kept[0], atol=1.01)


@pytest.mark.parametrize('sizes', [((1, 1),) * 4, ((1, 500), (500, 1), (3, 3), (700, 900))])
def test_extreme_sizes(sizes):
    images = [(torch.full((3, *s), 9, dtype=torch.uint8), torch.tensor([[0.0, 0, s[1], s[0]]]), torch.tensor([0]))
              for s in sizes]  # fmt: skip
    for seed in range(8):
        image, boxes, _ = made(seed, (32, 64), 0.9, images)
        assert image.shape == (3, 32, 64) and len(boxes) == 4 and boxes.isfinite().all()
        assert ((boxes[:, 2:] - boxes[:, :2]) >= 0.999).all()


def test_what_is_given_is_not_changed():
    images = four(0)
    before = [[part.clone() for part in image] for image in images]
    made(0, images=images)
    for image, old in zip(images, before, strict=True):
        assert all(torch.equal(part, old_part) for part, old_part in zip(image, old, strict=True))


def test_the_generator_decides():
    images = four(0)
    one, again, other = (made(seed, images=images) for seed in (1, 1, 2))
    assert all(torch.equal(a, b) for a, b in zip(one, again, strict=True))
    assert not torch.equal(one[0], other[0])
