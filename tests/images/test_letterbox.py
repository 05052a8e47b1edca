import itertools
from functools import partial

import numpy as np
import pytest
import torch
from letterboxing import boxes_to_letterbox
from PIL import Image

from mbv3zoo.images.letterbox import Letterbox

SIZES = [(480, 640), (640, 480), (1, 1), (1, 5000), (5000, 1), (333, 777), (13, 17), (640, 640), (37, 1000)]
TARGETS = [(640, 640), (320, 512), (64, 32)]
PAIRS = list(itertools.product(SIZES, TARGETS))


def random_boxes(height, width, count=50):
    generator = torch.Generator().manual_seed(0)
    ends = torch.rand(count, 2, 2, generator=generator, dtype=torch.float64).sort(dim=1).values
    return (ends * torch.tensor([width, height])).reshape(count, 4)


def on_pixels(boxes, original, target):
    """By plain arithmetic: the resized picture covers a centred whole-pixel rectangle."""
    scale = min(target[0] / original[0], target[1] / original[1])
    height, width = max(1, round(original[0] * scale)), max(1, round(original[1] * scale))
    left, top = (target[1] - width) // 2, (target[0] - height) // 2
    return boxes * torch.tensor([width / original[1], height / original[0]] * 2) + torch.tensor([left, top] * 2)


def as_yolov5(boxes, original, target):
    """By plain arithmetic: one scale for both sides, and half of the space that the rounded picture leaves."""
    scale = min(target[0] / original[0], target[1] / original[1])
    height, width = max(1, round(original[0] * scale)), max(1, round(original[1] * scale))
    return boxes * scale + torch.tensor([(target[1] - width) / 2, (target[0] - height) / 2] * 2)


@pytest.mark.parametrize(('original', 'target'), PAIRS)
def test_boxes_lie_within_half_a_pixel_of_the_picture_and_of_yolov5s_and_come_back(original, target):
    letterbox = Letterbox.fit(original, target)
    boxes = random_boxes(*original)
    moved = boxes_to_letterbox(letterbox, boxes)
    for expected in (on_pixels(boxes, original, target), as_yolov5(boxes, original, target)):
        assert (moved - expected).abs().max() <= 0.5
    # Where nothing is rounded, the two are one.
    if all(size == s * letterbox.scale for size, s in zip(letterbox.resized, original, strict=True)):
        slack = 0.25 * any((t - size) % 2 for t, size in zip(target, letterbox.resized, strict=True))
        assert (moved - on_pixels(boxes, original, target)).abs().max() <= slack + 1e-4
    assert (letterbox.boxes_to_original(moved) - boxes).abs().max() < 1e-6
    # And in single precision, to within half a pixel of the original by far.
    back = letterbox.boxes_to_original(boxes_to_letterbox(letterbox, boxes.float()))
    assert back.dtype == torch.float32 and (back - boxes).abs().max() < 0.01


@pytest.mark.parametrize(('original', 'target'), PAIRS)
def test_geometry(original, target):
    letterbox = Letterbox.fit(original, target)
    height, width = letterbox.resized
    assert 1 <= height <= target[0] and 1 <= width <= target[1]
    assert height == target[0] or width == target[1]
    for free, pad in ((target[0] - height, letterbox.pad_top), (target[1] - width, letterbox.pad_left)):
        assert 0 <= free - 2 * pad <= 1
    # The shape is kept to within the rounding, unless a side would vanish.
    if min(original) * letterbox.scale >= 1:
        assert abs(height - original[0] * letterbox.scale) <= 0.5
        assert abs(width - original[1] * letterbox.scale) <= 0.5


@pytest.mark.parametrize(('original', 'target'), PAIRS)
def test_apply_pads_with_grey_around_the_picture(original, target):
    letterbox = Letterbox.fit(original, target)
    image = torch.full((3, *original), 200, dtype=torch.uint8)
    result = letterbox.apply(image)
    assert result.shape == (3, *target) and result.dtype == torch.uint8
    height, width = letterbox.resized
    expected = torch.full((3, *target), 114, dtype=torch.uint8)
    top, left = letterbox.pad_top, letterbox.pad_left
    expected[:, top : top + height, left : left + width] = 200
    assert torch.equal(result, expected)
    assert image.eq(200).all()


@pytest.mark.parametrize('original', [(48, 64), (300, 200), (13, 17), (1, 500)])
def test_pixels_match_pillow(original):
    # Pillow's bilinear filter is antialiased and is written independently of torch's.
    array = np.random.default_rng(0).integers(0, 256, (*original, 3), dtype=np.uint8)
    letterbox = Letterbox.fit(original, (96, 96))
    height, width = letterbox.resized
    expected = np.asarray(Image.fromarray(array).resize((width, height), Image.Resampling.BILINEAR))
    result = letterbox.apply(torch.from_numpy(array).permute(2, 0, 1)).permute(1, 2, 0).numpy()
    result = result[letterbox.pad_top :, letterbox.pad_left :][:height, :width]
    assert np.abs(result.astype(int) - expected).max() <= 2


def test_same_size_is_left_alone():
    image = torch.randint(0, 256, (3, 32, 64), dtype=torch.uint8)
    letterbox = Letterbox.fit((32, 64), (32, 64))
    assert torch.equal(letterbox.apply(image), image)
    assert letterbox == Letterbox(1.0, 0, 0, (32, 64), (32, 64))


def test_picture_and_boxes_move_together():
    image = torch.zeros(1, 100, 333, dtype=torch.uint8)
    image[:, 20:60, 100:250] = 255
    letterbox = Letterbox.fit((100, 333), (256, 256))
    rows, columns = (letterbox.apply(image)[0] > 180).nonzero().unbind(1)
    seen = torch.tensor([[columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]])
    moved = boxes_to_letterbox(letterbox, torch.tensor([[100, 20, 250, 60]]))
    assert moved.dtype == torch.float32
    assert (moved - seen).abs().max() <= 1


def test_clipped_to_the_original():
    letterbox = Letterbox.fit((100, 200), (64, 64))
    boxes = torch.tensor([[-50.0, -50.0, 500.0, 500.0], [0, 0, 10, 10]])
    back = letterbox.boxes_to_original(boxes)
    assert back[0].tolist() == [0, 0, 200, 100]
    assert back[1].tolist() == [0, 0, 31.25, 0]  # all above the picture, which starts in row 16
    assert boxes[0, 0] == -50


@pytest.mark.parametrize('dtype', [torch.float32, torch.float16, torch.int64])
def test_empty_boxes(dtype):
    letterbox = Letterbox.fit((100, 200), (64, 64))
    for function in (partial(boxes_to_letterbox, letterbox), letterbox.boxes_to_original):
        result = function(torch.zeros(0, 4, dtype=dtype))
        assert result.shape == (0, 4) and result.dtype == torch.float32


def test_one_channel_and_extreme_upscaling():
    letterbox = Letterbox.fit((1, 1), (32, 64))
    result = letterbox.apply(torch.full((1, 1, 1), 9, dtype=torch.uint8))
    assert result[0, :, 16:48].eq(9).all() and result[0, :, :16].eq(114).all()
    assert boxes_to_letterbox(letterbox, torch.tensor([[0.0, 0, 1, 1]])).tolist() == [[16, 0, 48, 32]]


def test_wrong_input():
    letterbox = Letterbox.fit((10, 20), (32, 32))
    for image in (torch.zeros(3, 10, 20), torch.zeros(3, 20, 10, dtype=torch.uint8), torch.zeros(10, 20)):
        with pytest.raises(ValueError, match='expected uint8 pixels of a picture of 10 x 20'):
            letterbox.apply(image)
    for boxes in (torch.zeros(4), torch.zeros(2, 5)):
        with pytest.raises(ValueError, match=r'expected \[N, 4\]'):
            letterbox.boxes_to_original(boxes)
    for size in ((0, 5), (5, -1), (5, 5, 3), (5.5, 5)):
        with pytest.raises(ValueError, match='original size .* expected .height, width'):
            Letterbox.fit(size, (32, 32))
        with pytest.raises(ValueError, match='target size .* expected .height, width'):
            Letterbox.fit((32, 32), size)
