import math

import pytest
import torch

from mbv3zoo.config.detector import DEFAULT_ANCHORS, STRIDES
from mbv3zoo.models.postprocess.dense import cell_grid, decode


def sigmoid(x):
    return 1 / (1 + math.exp(-x))


def slow_decode(logits, anchors, strides):
    """Cell by cell: lists of [x1, y1, x2, y2] and of class scores for each picture."""
    boxes, scores = [], []
    for picture in range(logits[0].shape[0]):
        picture_boxes, picture_scores = [], []
        for level, stride, level_anchors in zip(logits, strides, anchors, strict=True):
            for anchor, (anchor_width, anchor_height) in enumerate(level_anchors):
                for cy in range(level.shape[2]):
                    for cx in range(level.shape[3]):
                        tx, ty, tw, th, objectness, *classes = level[picture, anchor, cy, cx].tolist()
                        x = (2 * sigmoid(tx) - 0.5 + cx) * stride
                        y = (2 * sigmoid(ty) - 0.5 + cy) * stride
                        width = (2 * sigmoid(tw)) ** 2 * anchor_width
                        height = (2 * sigmoid(th)) ** 2 * anchor_height
                        picture_boxes.append([x - width / 2, y - height / 2, x + width / 2, y + height / 2])
                        picture_scores.append([sigmoid(objectness) * sigmoid(c) for c in classes])
        boxes.append(picture_boxes)
        scores.append(picture_scores)
    return torch.tensor(boxes, dtype=torch.float64), torch.tensor(scores, dtype=torch.float64)


@pytest.mark.parametrize(
    ('batch', 'height', 'width', 'num_classes', 'anchors'),
    [
        (2, 64, 96, 3, DEFAULT_ANCHORS),
        (1, 32, 32, 1, DEFAULT_ANCHORS),
        (1, 96, 32, 2, (((10, 13),), ((30.5, 61),), ((373, 326),))),
    ],
)
def test_against_the_formula_cell_by_cell(batch, height, width, num_classes, anchors):
    generator = torch.Generator().manual_seed(0)
    shapes = [(batch, len(anchors[0]), height // s, width // s, 5 + num_classes) for s in STRIDES]
    logits = [torch.randn(shape, generator=generator) * 3 for shape in shapes]
    boxes, scores = decode(logits, torch.tensor(anchors), STRIDES)
    expected_boxes, expected_scores = slow_decode(logits, anchors, STRIDES)
    assert boxes.shape == (batch, sum(math.prod(shape[1:4]) for shape in shapes), 4)
    torch.testing.assert_close(boxes.double(), expected_boxes, rtol=1e-5, atol=1e-3)
    torch.testing.assert_close(scores.double(), expected_scores, rtol=1e-5, atol=1e-7)


def test_zero_logits_are_the_anchors_in_the_middle_of_their_cells():
    logits = [torch.zeros(1, 3, 2, 4, 6)]
    boxes, scores = decode(logits, torch.tensor(DEFAULT_ANCHORS[:1]), [8])
    boxes = boxes.view(3, 2, 4, 4)
    for anchor, (width, height) in enumerate(DEFAULT_ANCHORS[0]):
        assert boxes[anchor, 1, 3].tolist() == [28 - width / 2, 12 - height / 2, 28 + width / 2, 12 + height / 2]
    assert scores.unique().tolist() == [0.25]


def test_extreme_logits_stay_in_reach():
    """A box's centre leaves its cell by half a cell at most, its sides are at most 4 anchors; nothing overflows."""
    for value in (-1e4, 1e4, -math.inf, math.inf):
        boxes, scores = decode([torch.full((1, 3, 1, 1, 6), value)], torch.tensor(DEFAULT_ANCHORS[2:]), [32])
        assert boxes.isfinite().all() and scores.isfinite().all()
        positive = value > 0
        center = (boxes[0, :, :2] + boxes[0, :, 2:]) / 2
        sides = boxes[0, :, 2:] - boxes[0, :, :2]
        torch.testing.assert_close(center, torch.full((3, 2), 48.0 if positive else -16.0), atol=1e-3, rtol=0)
        torch.testing.assert_close(sides, torch.tensor(DEFAULT_ANCHORS[2]) * (4 if positive else 0))
        assert scores.unique().tolist() == [float(positive)]


def test_no_pictures():
    boxes, scores = decode([torch.zeros(0, 3, 2, 2, 7)], torch.tensor(DEFAULT_ANCHORS[:1]), [8])
    assert boxes.shape == (0, 12, 4) and scores.shape == (0, 12, 2)


def test_gradients_flow():
    logits = torch.randn(1, 3, 2, 2, 7, requires_grad=True)
    boxes, scores = decode([logits], torch.tensor(DEFAULT_ANCHORS[:1]), [8])
    (boxes.sum() + scores.sum()).backward()
    assert logits.grad.isfinite().all() and (logits.grad != 0).any(-1).all()


def test_levels_must_agree_with_anchors():
    with pytest.raises(ValueError):
        decode([torch.zeros(1, 3, 1, 1, 6)], torch.tensor(DEFAULT_ANCHORS), STRIDES)


def test_cell_grid_is_x_then_y():
    grid = cell_grid(2, 3, torch.device('cpu'), torch.float64)
    assert grid.dtype == torch.float64
    assert grid.tolist() == [[[0, 0], [1, 0], [2, 0]], [[0, 1], [1, 1], [2, 1]]]
