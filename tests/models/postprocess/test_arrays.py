"""NumPy's detections against those of everything decoded in torch; from logits, `test_tensors.py`."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from dense_nms import postprocess as postprocess_torch

from mbv3zoo.export.parity import to_logits
from mbv3zoo.models.postprocess import arrays
from mbv3zoo.models.postprocess.decoding import Kept
from mbv3zoo.models.postprocess.dense import decode
from mbv3zoo.models.postprocess.thresholds import Thresholds

STRIDES = (8, 16, 32)
ANCHORS = tuple(tuple((4.0 * stride * (i + 1), 3.0 * stride * (i + 1)) for i in range(3)) for stride in STRIDES)


def postprocess(maps, anchors, strides, **options):
    return arrays.postprocess(maps, anchors, strides, Thresholds(**options))


def random_maps(seed, num_classes=5, batch=2, size=(64, 96), spread=3.0, shift=-2.0, num_anchors=3):
    rng = np.random.default_rng(seed)
    shapes = [(batch, num_anchors * (5 + num_classes), size[0] // stride, size[1] // stride) for stride in STRIDES]
    return [(rng.normal(0, spread, shape) + shift).astype(np.float32) for shape in shapes]


def check(maps, anchors=ANCHORS, strides=STRIDES, **options):
    """Both keep the same; returns how many."""
    logits = to_logits(maps, len(anchors[0]))
    expected = postprocess_torch(*decode(logits, torch.tensor(anchors), strides), **options)
    found = postprocess(maps, anchors, strides, **options)
    assert len(found) == len(expected) == len(maps[0])
    for ours, theirs in zip(found, expected, strict=True):
        assert isinstance(ours, Kept) and ours.boxes.shape == (len(ours.scores), 4)
        assert [part.dtype for part in ours] == [np.float32, np.float32, np.int64]
        assert ours.labels.tolist() == theirs.labels.tolist()
        np.testing.assert_allclose(ours.boxes, theirs.boxes.numpy(), rtol=1e-5, atol=1e-3)
        np.testing.assert_allclose(ours.scores, theirs.scores.numpy(), rtol=1e-5, atol=0)
    return sum(len(ours.scores) for ours in found)


@pytest.mark.parametrize('multi_label', [False, True])
@pytest.mark.parametrize('class_agnostic', [False, True])
@pytest.mark.parametrize('score_thresh', [0, 0.001, 0.25, 0.6])
def test_as_in_torch(score_thresh, class_agnostic, multi_label):
    options = {'score_thresh': score_thresh, 'class_agnostic': class_agnostic, 'multi_label': multi_label}
    for seed in range(3):
        assert check(random_maps(seed, shift=-1.0), max_detections=10_000, **options) > 5


@pytest.mark.parametrize('multi_label', [False, True])
@pytest.mark.parametrize('num_classes', [1, 80])
@pytest.mark.parametrize('size', [(32, 32), (32, 160), (96, 32)])
def test_other_classes_and_sizes(size, num_classes, multi_label):
    assert check(random_maps(4, num_classes, size=size), score_thresh=0.05, multi_label=multi_label)


@pytest.mark.parametrize('options', [{'max_detections': 3}, {'max_candidates': 7}, {'iou_thresh': 0}, {}])
def test_limits(options):
    assert check(random_maps(5, shift=-1.0), **options)


def test_one_anchor():
    assert check(random_maps(6, num_anchors=1), [level[:1] for level in ANCHORS], score_thresh=0.05)


@pytest.mark.parametrize('multi_label', [False, True])
def test_nothing(multi_label):
    for maps in (random_maps(7, shift=-100.0), [np.full_like(level, -np.inf) for level in random_maps(7)]):
        for score_thresh in (0.25, 1):
            assert check(maps, score_thresh=score_thresh, multi_label=multi_label) == 0
    assert check(random_maps(7, shift=5.0), score_thresh=1, multi_label=multi_label) == 0
    assert postprocess(random_maps(7, batch=0), ANCHORS, STRIDES, multi_label=multi_label) == []


@pytest.mark.filterwarnings('error')
@pytest.mark.parametrize('multi_label', [False, True])
@pytest.mark.parametrize('score_thresh', [0, 0.25, 1])
def test_extreme_logits(score_thresh, multi_label):
    """Infinite and large logits, probabilities of exactly 0 and 1, in every combination; no warnings."""
    values = [-np.inf, -1e30, -200, -60, -1, 0, 2, 100, 1e30, np.inf]
    trios = np.stack(np.meshgrid(values, values, values), -1).reshape(-1, 3)
    # Boxes of one cell each, side by side, so that none is suppressed and ties do not matter.
    level = np.concatenate([np.zeros((len(trios), 4)), trios], 1).T.reshape(1, 7, 1, -1).astype(np.float32)
    options = {'score_thresh': score_thresh, 'multi_label': multi_label, 'max_detections': 10_000}
    (ours,) = postprocess([level], [[(8, 8)]], [8], **options)
    (theirs,) = postprocess_torch(*decode(to_logits([level], 1), torch.tensor([[[8.0, 8]]]), [8]), **options)
    # Scores of e-27 and less in no certain order.
    rows = [
        sorted(zip(k.boxes.tolist(), k.labels.tolist(), [round(s, 6) for s in k.scores.tolist()], strict=True))
        for k in (ours, theirs)
    ]
    assert rows[0] == rows[1] and bool(rows[0]) == (score_thresh < 1)
    # Large logits of the boxes: without an area, or four times the anchor.
    kept = postprocess(random_maps(8, spread=1e4), ANCHORS, STRIDES, score_thresh=score_thresh)
    assert all(np.isfinite(part).all() for parts in kept for part in parts)


@pytest.mark.parametrize('multi_label', [False, True])
def test_ties_leave_one_of_each_class(multi_label):
    level = np.zeros((1, 3 * 7, 2, 2), np.float32)
    level[:, [4, 11, 18]] = 50
    # Three equal anchors a cell, four cells two strides apart; both classes have a score of one half.
    options = {'score_thresh': 0.4, 'iou_thresh': 0.5, 'multi_label': multi_label}
    (kept,) = postprocess([level], [[(8, 8)] * 3], [8], **options)
    assert len(kept.scores) == (8 if multi_label else 4) and len(np.unique(kept.boxes, axis=0)) == 4
    (kept,) = postprocess([level], [[(8, 8)] * 3], [8], class_agnostic=True, **options)
    assert len(kept.scores) == 4


@pytest.mark.parametrize('iou_thresh', [0.2, 0.25, 1 / 3, 0.45])
def test_an_overlap_of_just_the_threshold(iou_thresh):
    """Boxes 8 pixels apart whose overlap is a quotient of small numbers, as in torchvision to the last bit."""
    level = np.zeros((1, 6, 1, 12), np.float32)
    level[:, 4:] = 3 - np.arange(12) / 10
    # Of two neighbours of width w: (w - 8) / (w + 8), here 1/9, 1/5, 1/4, 1/3, 0.45, 1/2.
    for width in (10, 12, 13 + 1 / 3, 16, 8 * 1.45 / 0.55, 24):
        assert check([level], [[(width, 8.0)]], [8], score_thresh=0.1, iou_thresh=iou_thresh)


@pytest.mark.parametrize('score_thresh', [0.001, 0.25, 0.5, 0.999, 1 - 1.78e-7])
@pytest.mark.parametrize('dtype', [np.float32, np.float16])
def test_what_lies_just_above_the_threshold_is_not_lost(score_thresh, dtype):
    number = np.log(score_thresh / (1 - score_thresh))
    objectness = np.unique((number + np.linspace(-0.02, 0.02, 6001)).astype(dtype))
    level = np.full((1, 6, 1, len(objectness)), 60, dtype)
    level[0, 4, 0] = objectness
    options = {'score_thresh': score_thresh, 'iou_thresh': 1.0, 'max_detections': 10_000}
    (ours,) = postprocess([level], [[(8, 8)]], [8], **options)
    (theirs,) = postprocess_torch(*decode(to_logits([level], 1), torch.tensor([[[8.0, 8]]]), [8]), **options)
    assert 0 < len(theirs.scores) < len(objectness)
    # Exponentials differ in the last digit.
    near = 1e-6 * score_thresh
    most = (np.abs(1 / (1 + np.exp(-objectness.astype(np.float64))) - score_thresh) < near).sum()
    assert abs(len(ours.scores) - len(theirs.scores)) <= most


def test_maps_are_not_changed_and_levels_must_match():
    maps = random_maps(9)
    copies = [level.copy() for level in maps]
    postprocess(maps, ANCHORS, STRIDES, score_thresh=0)
    assert all(np.array_equal(a, b) for a, b in zip(maps, copies, strict=True))
    with pytest.raises(ValueError):
        postprocess(maps, ANCHORS, STRIDES[:2])


def test_needs_no_torch():
    code = 'import sys, mbv3zoo.models.postprocess.arrays; sys.exit(int("torch" in sys.modules))'
    assert subprocess.run([sys.executable, '-c', code], check=False).returncode == 0
