import itertools

import pytest
import torch
from loss_cases import (
    ANCHORS,
    CLASSES,
    NO_TARGETS,
    TARGETS,
    center_box,
    ciou,
    cross_entropy,
    fit_one_batch,
    logits_of,
    loss_of,
    sigmoid,
)
from torchvision.ops import box_iou

from mbv3zoo.config.detector import STRIDES


@pytest.mark.parametrize('value', [0.0, 60.0, -9.0, -60.0])
@pytest.mark.parametrize('targets', [TARGETS, NO_TARGETS], ids=['boxes', 'no boxes'])
def test_simota_stays_finite(value, targets):
    logits = [(level * 0.1 + value).detach().requires_grad_() for level in logits_of()]
    losses = loss_of(loss='simota')(logits, targets)
    losses.total.backward()
    assert losses.total.isfinite() and all(level.grad.isfinite().all() for level in logits)
    assert (losses.box > 0) == (losses.classes > 0) == (len(targets.boxes) > 0)


def test_simota_learns_fewer_anchors():
    def learned(**settings):
        logits = logits_of()
        loss_of(**settings)(logits, TARGETS).total.backward()
        return sum((level.grad[..., :4] != 0).any(-1).sum().item() for level in logits)

    assert len(TARGETS.boxes) <= learned(loss='simota') < learned() == learned(loss='yolov5')


def test_fitting_one_batch_by_simota_brings_the_boxes_back():
    # Twice the steps: which anchors learn a box changes as they learn it.
    course, found = fit_one_batch(160, loss='simota')
    for first, last in zip(course[0], course[-1], strict=True):
        assert last < 0.4 * first
    for image in range(2):
        own = TARGETS.image_index == image
        best, index = box_iou(TARGETS.boxes[own], found[image].boxes).max(1)
        assert len(found[image].boxes) == 2 and (best > 0.85).all()
        assert torch.equal(found[image].labels[index], TARGETS.labels[own])


def test_simota_values_equal_the_slow_loss():
    """The chosen anchors are those with a box gradient; all else is counted one number at a time."""
    logits = [level.double().detach().requires_grad_() for level in logits_of(3)]
    losses = loss_of(loss='simota', box_gain=3.0, class_gain=0.7, objectness_gain=1.3)(logits, TARGETS)
    losses.total.backward()
    box = objectness = classes = count = 0
    for level, anchors, stride in zip(logits, ANCHORS.tolist(), STRIDES, strict=True):
        for image, anchor, row, column in itertools.product(*map(range, level.shape[:4])):
            values, expected = level[image, anchor, row, column].tolist(), 0.0
            if level.grad[image, anchor, row, column, :4].any():
                x, y = ((sigmoid(v) * 2 - 0.5 + cell) * stride for v, cell in zip(values, (column, row), strict=False))
                side = [(2 * sigmoid(v)) ** 2 * length for v, length in zip(values[2:4], anchors[anchor], strict=True)]
                own = [i for i in range(len(TARGETS.boxes)) if TARGETS.image_index[i] == image]
                pairs = [(ciou((x, y, *side), center_box(TARGETS.boxes[i]))[0], i) for i in own]
                learned = level.grad[image, anchor, row, column, 5:].argmin().item()
                value, index = max(pair for pair in pairs if TARGETS.labels[pair[1]] == learned)
                box, count, expected = box + 1 - value, count + 1, max(value, 0)
                one_hot = [float(k == TARGETS.labels[index]) for k in range(CLASSES)]
                classes += sum(cross_entropy(v, t) for v, t in zip(values[5:], one_hot, strict=True))
            objectness += cross_entropy(values[4], expected)
    parts = [3.0 * box / count, 1.3 * objectness / count, 0.7 * classes / count]
    for found, part in zip(losses[1:], parts, strict=True):
        assert found.item() == pytest.approx(part, rel=1e-5)
    assert losses.total.item() == pytest.approx(sum(parts), rel=1e-5) and count >= len(TARGETS.boxes)
