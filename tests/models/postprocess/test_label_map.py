"""Label maps against torch's interpolation of the letterboxed logits."""

import tracemalloc

import numpy as np
import pytest
import torch
from torch.nn.functional import grid_sample, interpolate

from mbv3zoo.images.letterbox import Letterbox
from mbv3zoo.models.postprocess.label_map import label_map


def random_logits(classes, size, seed=0):
    return torch.randn(classes, *size, generator=torch.Generator().manual_seed(seed))


def by_torch(logits, letterbox):
    """The same interpolation by `grid_sample`, in double precision: logits [K, H, W] of the original's pixels."""
    axes = []
    for side, inside, pad, target in zip(
        letterbox.original,
        letterbox.resized,
        (letterbox.pad_top, letterbox.pad_left),
        letterbox.target,
        strict=True,
    ):
        centres = (torch.arange(side, dtype=torch.float64) + 0.5) * inside / side + pad
        axes.append(centres / target * 2 - 1)
    y, x = torch.meshgrid(*axes, indexing='ij')
    return grid_sample(logits[None].double(), torch.stack([x, y], -1)[None], padding_mode='border', align_corners=False)


@pytest.mark.parametrize('stride', [4, 8])
@pytest.mark.parametrize(
    ('original', 'target'),
    [
        ((96, 128), (96, 128)),  # as it is
        ((128, 64), (96, 96)),  # smaller, columns of padding
        ((50, 130), (96, 96)),  # rows of padding
        ((481, 640), (320, 320)),  # made smaller
        ((37, 23), (320, 192)),  # made larger
        ((1, 1), (64, 64)),
        ((1, 900), (64, 64)),
        ((900, 1), (64, 96)),
        ((3, 70000), (32, 64)),
    ],
)
def test_it_is_torchs_interpolation(original, target, stride):
    letterbox = Letterbox.fit(original, target)
    logits = random_logits(5, (target[0] // stride, target[1] // stride))
    labels = label_map(logits.numpy(), letterbox)
    assert labels.dtype == np.uint8 and labels.shape == original
    expected = by_torch(logits, letterbox)[0]
    # But where rounding decides.
    best = expected.topk(2, 0).values
    sure = (best[0] - best[1] > 1e-4).numpy()
    assert sure.mean() > 0.99 and (labels == expected.argmax(0).numpy())[sure].all()


def test_at_the_letterboxs_own_scale_it_is_the_networks_own_output():
    logits = random_logits(7, (12, 16))
    letterbox = Letterbox.fit((60, 128), (96, 128))
    upsampled = interpolate(logits[None], (96, 128), mode='bilinear', align_corners=False)[0].argmax(0).numpy()
    assert (label_map(logits.numpy(), letterbox) == upsampled[18:78]).mean() > 0.9999


def test_one_class_and_the_most_classes():
    letterbox = Letterbox.fit((20, 31), (32, 64))
    assert not label_map(random_logits(1, (4, 8)).numpy(), letterbox).any()
    logits = np.zeros((255, 4, 8), np.float16)
    assert not label_map(logits, letterbox).any()
    logits[254] = 1
    assert (label_map(logits, letterbox) == 254).all()


def test_many_pixels_take_little_memory():
    letterbox = Letterbox.fit((6000, 5000), (256, 256))
    logits = random_logits(21, (32, 32)).numpy()
    tracemalloc.start()
    try:
        labels = label_map(logits, letterbox)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert labels.shape == (6000, 5000) and peak < labels.nbytes + 2**26
