import math

import pytest
import torch
from loss_cases import (
    CLASSES,
    HEIGHT,
    NO_TARGETS,
    TARGETS,
    WIDTH,
    ciou,
    cross_entropy,
    fit_one_batch,
    logits_of,
    loss_of,
    sigmoid,
)

from mbv3zoo.config.detector import DEFAULT_ANCHORS, STRIDES
from mbv3zoo.config.training import TrainConfig
from mbv3zoo.data.loader import Targets
from mbv3zoo.training.yolov5_loss import YOLOv5Loss


def slow_loss(logits, targets, frozen=None, classes=CLASSES, size=(HEIGHT, WIDTH)):
    """Returns (box, objectness, classes) weighted, their sum times the batch, the places, and what is held constant.

    `frozen` holds the constants of an earlier call: alphas and objectness targets, which have no gradient.
    """
    constants, places = {}, []
    sums = [0.0, 0.0, 0.0]
    for level, (level_logits, stride) in enumerate(zip(logits, STRIDES, strict=True)):
        batch, num_anchors, rows, columns, _ = level_logits.shape
        values = level_logits.tolist()
        objectness_targets, box_losses, class_losses = {}, [], []
        labelled = zip(targets.image_index.tolist(), targets.labels.tolist(), targets.boxes.tolist(), strict=True)
        for image, label, (x1, y1, x2, y2) in labelled:
            x, y, w, h = (x1 + x2) / 2 / stride, (y1 + y2) / 2 / stride, (x2 - x1) / stride, (y2 - y1) / stride
            for anchor, (aw, ah) in enumerate(DEFAULT_ANCHORS[level]):
                if max(w * stride / aw, aw / w / stride, h * stride / ah, ah / h / stride) >= 4:
                    continue
                for row in range(rows):
                    for column in range(columns):
                        far = sorted([abs(x - column - 0.5), abs(y - row - 0.5)])
                        if not (far[0] < 0.5 and far[1] < 1):
                            continue
                        place = (level, image, anchor, row, column)
                        assert place not in places
                        places.append(place)
                        tx, ty, tw, th, _, *class_logits = values[image][anchor][row][column]
                        predicted = (
                            2 * sigmoid(tx) - 0.5 + column,
                            2 * sigmoid(ty) - 0.5 + row,
                            (2 * sigmoid(tw)) ** 2 * aw / stride,
                            (2 * sigmoid(th)) ** 2 * ah / stride,
                        )
                        value, alpha = ciou(predicted, (x, y, w, h), frozen and frozen[place][0])
                        objectness_targets[place[1:]] = frozen[place][1] if frozen else max(value, 0)
                        constants[place] = (alpha, objectness_targets[place[1:]])
                        box_losses.append(1 - value)
                        class_losses += [cross_entropy(c, float(k == label)) for k, c in enumerate(class_logits)]
        objectness = [
            cross_entropy(values[b][a][r][c][4], objectness_targets.get((b, a, r, c), 0.0))
            for b in range(batch)
            for a in range(num_anchors)
            for r in range(rows)
            for c in range(columns)
        ]
        sums[0] += sum(box_losses) / max(len(box_losses), 1)
        sums[1] += sum(objectness) / len(objectness) * (4, 1, 0.4)[level]
        sums[2] += sum(class_losses) / max(len(class_losses), 1) if classes > 1 else 0
    parts = 0.05 * sums[0], (max(size) / 640) ** 2 * sums[1], 0.5 * classes / 80 * sums[2]
    return parts, sum(parts) * len(logits[0]), places, constants


@pytest.mark.parametrize('seed', [0, 1, 2])
def test_values_equal_the_slow_loss(seed):
    logits = logits_of(seed)
    losses = loss_of()(logits, TARGETS)
    parts, total, places, _ = slow_loss([level.double() for level in logits], TARGETS)
    assert {place[0] for place in places} == {0, 1, 2}
    assert [losses.box.item(), losses.objectness.item(), losses.classes.item()] == pytest.approx(parts, rel=1e-4)
    assert losses.total.item() == pytest.approx(total, rel=1e-4)
    assert not any(part.requires_grad for part in losses[1:])


def test_gradients_equal_finite_differences():
    logits = logits_of(3)
    loss_of()(logits, TARGETS).total.backward()
    exact = [level.detach().double() for level in logits]
    _, _, places, frozen = slow_loss(exact, TARGETS)
    generator = torch.Generator().manual_seed(0)
    some = [places[i] for i in torch.randperm(len(places), generator=generator)[:4].tolist()]
    # All logits of some assigned anchors, and the objectness and a box logit of anchors that have no box.
    checked = [(place, channel) for place in some for channel in range(5 + CLASSES)]
    checked += [((level, 0, 2, 0, 1), channel) for level in range(3) for channel in (0, 4, 6)]
    step, sizes = 1e-4, []
    for (level, *index), channel in checked:
        at = (*index, channel)
        values = []
        for sign in (1, -1):
            exact[level][at] += sign * step
            values.append(slow_loss(exact, TARGETS, frozen)[1])
            exact[level][at] -= sign * step
        expected = (values[0] - values[1]) / (2 * step)
        assert logits[level].grad[at].item() == pytest.approx(expected, rel=2e-3, abs=1e-6)
        sizes.append(abs(expected) > 1e-5)
    assert sum(sizes) > 30


def test_without_boxes_only_objectness_is_left():
    logits = logits_of()
    losses = loss_of()(logits, NO_TARGETS)
    parts, total, places, _ = slow_loss([level.double() for level in logits], NO_TARGETS)
    assert places == [] and losses.box == 0 and losses.classes == 0
    assert losses.total.item() == pytest.approx(total, rel=1e-4)
    losses.total.backward()
    for level in logits:
        assert level.grad is not None and level.grad.isfinite().all()
        assert (level.grad[..., 4] > 0).all()
        assert (level.grad[..., :4] == 0).all() and (level.grad[..., 5:] == 0).all()


def test_one_class_has_no_class_loss():
    logits = logits_of(classes=1)
    targets = TARGETS._replace(labels=torch.zeros(4, dtype=torch.int64))
    losses = loss_of(classes=1)(logits, targets)
    parts, total, _, _ = slow_loss([level.double() for level in logits], targets, classes=1)
    assert losses.classes == 0 and losses.total.item() == pytest.approx(total, rel=1e-4)
    losses.total.backward()
    assert all((level.grad[..., 5] == 0).all() for level in logits)


def test_gains_scale_their_parts():
    logits = logits_of()
    plain = loss_of()(logits, TARGETS)
    scaled = loss_of(box_gain=0.1, class_gain=0.25, objectness_gain=3.0)(logits, TARGETS)
    torch.testing.assert_close(scaled.box, plain.box * 2)
    torch.testing.assert_close(scaled.classes, plain.classes / 2)
    torch.testing.assert_close(scaled.objectness, plain.objectness * 3)
    torch.testing.assert_close(scaled.total.detach(), 2 * (scaled.box + scaled.objectness + scaled.classes))


def test_the_total_grows_with_the_batch():
    logits = [level.detach()[:1] for level in logits_of()]
    targets = Targets(*(part[:2] for part in TARGETS))
    twice = Targets(torch.tensor([0, 0, 1, 1]), targets.labels.repeat(2), targets.boxes.repeat(2, 1))
    one = loss_of()(logits, targets)
    two = loss_of()([level.repeat(2, 1, 1, 1, 1) for level in logits], twice)
    torch.testing.assert_close(two.total, one.total * 2)
    torch.testing.assert_close(two.box, one.box)


def test_anchor_ratio_of_the_settings_counts():
    logits = logits_of()
    assert loss_of(anchor_ratio=1.01)(logits, TARGETS).box == 0
    assert loss_of(anchor_ratio=2)(logits, TARGETS).box not in (0, loss_of()(logits, TARGETS).box)


@pytest.mark.parametrize(
    ('levels', 'weights'),
    [(1, [4]), (2, [4, 1]), (3, [4, 1, 0.4]), (4, [4, 1, 0.25, 0.06]), (6, [4, 1, 0.25, 0.06, 0.02, 0.02])],
)
def test_any_number_of_levels(levels, weights):
    strides = [8 * 2**i for i in range(levels)]
    loss = YOLOv5Loss(torch.ones(levels, 3, 2), strides, 1, (640, 640), TrainConfig(loss='yolov5'))
    # Of logits of 0 each anchor costs log 2, whatever the level.
    logits = [torch.zeros(1, 3, 2, 2, 6) for _ in strides]
    expected = math.log(2) * sum(weights) * 3 / levels
    assert loss(logits, NO_TARGETS).objectness.item() == pytest.approx(expected)


def test_narrow_predictions_still_learn():
    """A side of a thousandth of a cell, where a difference of corners would have lost the gradient."""
    logits = [torch.full_like(level, -12.0).requires_grad_() for level in logits_of()]
    loss_of()(logits, TARGETS).total.backward()
    learned = [level.grad[(level.grad[..., :2] != 0).any(-1)][:, 2:4] for level in logits]
    assert sum(len(level) for level in learned) > 10
    for level in learned:
        assert level.isfinite().all() and (level != 0).all()


def test_extreme_logits_and_half_precision_stay_finite():
    for value in (60.0, -9.0, -20.0, -60.0):
        logits = [torch.full_like(level, value).detach().requires_grad_() for level in logits_of()]
        losses = loss_of()(logits, TARGETS)
        losses.total.backward()
        assert losses.total.isfinite() and all(level.grad.isfinite().all() for level in logits)
    half = [level.detach().bfloat16() for level in logits_of()]
    losses = loss_of()(half, TARGETS)
    assert losses.total.dtype == torch.float32
    assert losses.total.item() == pytest.approx(loss_of()([level.float() for level in half], TARGETS).total.item())


def test_fitting_one_batch_brings_the_boxes_back():
    course, found = fit_one_batch(80)
    for first, last in zip(course[0], course[-1], strict=True):
        assert last < 0.4 * first
    for image in range(2):
        own = TARGETS.image_index == image
        order = found[image].labels.sort().indices if image == 0 else found[image].boxes[:, 0].argsort()
        expected = TARGETS.labels[own].sort().indices if image == 0 else TARGETS.boxes[own][:, 0].argsort()
        torch.testing.assert_close(found[image].boxes[order], TARGETS.boxes[own][expected], atol=1, rtol=0)
        assert torch.equal(found[image].labels[order], TARGETS.labels[own][expected])
