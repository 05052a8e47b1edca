"""Where pictures and boxes land in the letterbox, and how boxes come back, against YOLOv5's own; see README.md."""

from pathlib import Path

import numpy as np
import torch
from letterboxing import boxes_to_letterbox

from mbv3zoo.images.letterbox import Letterbox

CASE = np.load(Path(__file__).with_name('cases') / 'letterbox.npz')


def letterboxes():
    for original, target in zip(CASE['original'].tolist(), CASE['target'].tolist(), strict=True):
        yield Letterbox.fit(original, target)


def test_the_picture_lands_on_the_same_pixels():
    for letterbox, picture in zip(letterboxes(), CASE['picture'].tolist(), strict=True):
        height, width = letterbox.resized
        left, top = letterbox.pad_left, letterbox.pad_top
        assert [left, top, left + width, top + height] == picture


def test_boxes_land_and_come_back_within_half_a_pixel():
    """Not closer: YOLOv5 rounds the picture's sides to whole pixels, and not what it scales boxes by."""
    rows = zip(letterboxes(), *(CASE[name] for name in ('boxes', 'letterboxed', 'restored')), strict=True)
    for letterbox, boxes, letterboxed, restored in rows:
        there = boxes_to_letterbox(letterbox, torch.from_numpy(boxes)).numpy()
        back = letterbox.boxes_to_original(torch.from_numpy(letterboxed)).numpy()
        assert np.abs(there - letterboxed).max() <= 0.5
        assert np.abs(back - restored).max() * letterbox.scale <= 0.5
