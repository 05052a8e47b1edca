import math

import pytest
import torch
from torchvision.ops import complete_box_iou_loss

from mbv3zoo.config.detector import DEFAULT_ANCHORS
from mbv3zoo.config.training import TrainConfig
from mbv3zoo.models.postprocess.dense import decode
from mbv3zoo.training.distillation import DistillationLoss
from mbv3zoo.training.teacher import Taught

STRIDES, GRIDS = (8, 16), ((6, 8), (3, 4))
ANCHORS = torch.tensor(DEFAULT_ANCHORS[:2])
CLASSES = 3


def taught_of(seed=0, rows=7, certainty=None):
    generator = torch.Generator().manual_seed(seed)

    def drawn(*shape):
        return torch.rand(2, rows, *shape, generator=generator)

    level = torch.randint(2, (2, rows), generator=generator)
    row, column = (torch.randint(3 + axis, (2, rows), generator=generator) for axis in (0, 1))
    stride = torch.tensor(STRIDES)[level].unsqueeze(2)
    centre = (torch.stack([column, row], 2) + drawn(2)) * stride
    half = (4 + 20 * drawn(2)) / 2
    boxes = torch.cat([centre - half, centre + half], 2)
    return Taught(boxes, drawn(), drawn(CLASSES), drawn() if certainty is None else certainty, level, row, column)


def logits_of(seed=0, anchors=3):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(2, anchors, *grid, 5 + CLASSES, generator=generator) for grid in GRIDS]


def loss_of(anchors=ANCHORS, known=(True,) * CLASSES, **settings):
    return DistillationLoss(anchors, STRIDES, torch.tensor(known), TrainConfig(**settings))


def entropy(logit, expected):
    p = 1 / (1 + math.exp(-logit))
    loss = -expected * math.log(p) - (1 - expected) * math.log(1 - p)
    return loss + expected * math.log(expected) + (1 - expected) * math.log(1 - expected)


def slow_loss(logits, taught, known, gains):
    """One cell after the other."""
    total = certainty = 0.0
    for image in range(2):
        for m in range(taught.boxes.shape[1]):
            level, row, column = (int(part[image, m]) for part in (taught.level, taught.row, taught.column))
            box = taught.boxes[image, m]
            width, height = (box[2:] - box[:2]).tolist()
            shared = [min(width, w) * min(height, h) for w, h in ANCHORS[level].tolist()]
            whole = [w * h for w, h in ANCHORS[level].tolist()]
            overlaps = [inter / (width * height + own - inter) for inter, own in zip(shared, whole, strict=True)]
            best = overlaps.index(max(overlaps))
            values = logits[level]
            boxes = decode([values], ANCHORS[level : level + 1], [STRIDES[level]])[0].view(*values.shape[:4], 4)
            own, weight = values[image, best, row, column].tolist(), taught.certainty[image, m].item()
            part = gains[0] * complete_box_iou_loss(boxes[image, best, row, column], box).item()
            part += gains[1] * entropy(own[4], taught.objectness[image, m].item())
            for k in range(CLASSES):
                if known[k]:
                    part += gains[2] * entropy(own[5 + k], taught.classes[image, m, k].item())
            total += weight * part
            certainty += weight
    return total / certainty


@pytest.mark.parametrize('known', [(True, True, True), (True, False, True)])
def test_equals_the_slow_loss(known):
    loss = loss_of(known=known, box_gain=3.0, objectness_gain=0.5, class_gain=0.25, teacher_gain=2.0)
    for seed in range(3):
        logits, taught = logits_of(seed), taught_of(seed)
        expected = 2 * slow_loss(logits, taught, known, (3.0, 0.5, 0.25))
        assert loss(logits, taught).item() == pytest.approx(expected, rel=1e-4)


def test_nothing_is_to_be_learned_from_what_is_known():
    anchors = ANCHORS[:, :1]
    logits = logits_of(anchors=1)
    boxes, scores = decode(logits, anchors, STRIDES)
    places = [
        (level, row, column) for level, grid in enumerate(GRIDS) for row in range(grid[0]) for column in range(grid[1])
    ]
    level, row, column = (torch.tensor(part).expand(2, -1) for part in zip(*places, strict=True))
    flat = torch.cat([values.flatten(1, 3) for values in logits], 1).sigmoid()
    taught = Taught(boxes, flat[..., 4], flat[..., 5:], flat[..., 4], level, row, column)
    assert loss_of(anchors)(logits, taught).item() == pytest.approx(0, abs=1e-5)
    assert loss_of(anchors)(logits_of(1, anchors=1), taught) > 1


def test_without_certainty_there_is_no_loss_and_no_gradient():
    logits = [level.requires_grad_() for level in logits_of()]
    loss = loss_of()(logits, taught_of(certainty=torch.zeros(2, 7)))
    loss.backward()
    assert loss == 0 and all(not level.grad.any() for level in logits)


def test_gradients_are_those_of_finite_differences_and_finite_for_extreme_logits():
    # CIoU's weight of the aspect ratio counts as a constant, so boxes are left out.
    loss, taught = loss_of(box_gain=0), taught_of()
    logits = [level.double().requires_grad_() for level in logits_of()]
    loss(logits, taught).backward()
    grads = torch.cat([level.grad.flatten() for level in logits])
    assert (grads != 0).sum() > 30
    for at in grads.abs().topk(5).indices.tolist():
        level, place = (0, at) if at < logits[0].numel() else (1, at - logits[0].numel())
        values = []
        for step in (-1e-2, 1e-2):
            moved = [one.detach().clone() for one in logits]
            moved[level].view(-1)[place] += step
            values.append(loss(moved, taught).item())
        assert grads[at].item() == pytest.approx((values[1] - values[0]) / 2e-2, rel=0.02, abs=1e-3)
    for value in (-100.0, 100.0):
        logits = [torch.full_like(level, value).requires_grad_() for level in logits_of()]
        loss_of()(logits, taught).backward()
        assert all(level.grad.isfinite().all() for level in logits)


def test_a_single_class_has_no_class_loss():
    taught = taught_of()
    taught = taught._replace(classes=taught.classes[..., :1])
    logits = [level[..., :6] for level in logits_of()]
    changed = [torch.cat([level[..., :5], level[..., 5:] + 3], 4) for level in logits]
    loss = loss_of(known=(True,))
    assert loss(logits, taught) == loss(changed, taught) > 0
