import math

import pytest
import torch
from torchvision.ops import complete_box_iou_loss

from mbv3zoo.config.detector import DEFAULT_ANCHORS, STRIDES
from mbv3zoo.config.training import TrainConfig
from mbv3zoo.create import create_detector
from mbv3zoo.data.loader import Targets
from mbv3zoo.models.postprocess.dense import decode
from mbv3zoo.training.assigner import assign
from mbv3zoo.training.losses import LOSSES, create_loss
from mbv3zoo.training.one_to_one_loss import OneToOneLoss

ANCHORS = torch.tensor(DEFAULT_ANCHORS)
GRIDS = [(8, 12), (4, 6), (2, 3)]
CLASSES = 3


def drawn(seed, boxes=6):
    generator = torch.Generator().manual_seed(seed)
    corner = torch.rand(boxes, 2, generator=generator) * torch.tensor([60.0, 40.0])
    side = 8 + 20 * torch.rand(boxes, 2, generator=generator)
    image = torch.arange(boxes) % 2
    targets = Targets(image, torch.arange(boxes) % CLASSES, torch.cat([corner, corner + side], 1))
    logits = [torch.randn(2, 3, *grid, 5 + CLASSES, generator=generator) for grid in GRIDS]
    alone = [level.clone() for level in logits]
    for level in alone:
        level[..., 4] = torch.randn(level.shape[:-1], generator=generator)
    return targets, logits, alone


def loss_of(name='simota', **settings):
    return OneToOneLoss(LOSSES[name](ANCHORS, STRIDES, CLASSES, (64, 96), TrainConfig(loss=name, **settings)))


def sigmoid(x):
    return 1 / (1 + math.exp(-x))


def slow_loss(logits, targets):
    """One box after the other: the candidate of lowest cost, then the cross-entropy of all anchors."""
    takers = {}
    for level, candidates in enumerate(assign(targets, ANCHORS, STRIDES, GRIDS)):
        boxes = decode([logits[level]], ANCHORS[level : level + 1], [STRIDES[level]])[0].view(
            *logits[level].shape[:4], 4
        )
        for place in zip(*(field.tolist() for field in candidates[:4]), candidates.box_index.tolist(), strict=True):
            *at, box = place
            own, expected = boxes[tuple(at)].tolist(), targets.boxes[box].tolist()
            inter = max(min(own[2], expected[2]) - max(own[0], expected[0]), 0)
            inter *= max(min(own[3], expected[3]) - max(own[1], expected[1]), 0)
            areas = sum((b[2] - b[0]) * (b[3] - b[1]) for b in (own, expected))
            iou = inter / (areas - inter)
            objectness, *classes = logits[level][tuple(at)][4:].tolist()
            cost = -3 * math.log(iou + 1e-8)
            for k, logit in enumerate(classes):
                p = math.sqrt(sigmoid(objectness) * sigmoid(logit))
                cost -= math.log(p if k == targets.labels[box] else 1 - p)
            takers.setdefault(box, []).append((cost, (level, *at), box))
    # An anchor that several want goes to the one of lowest cost; the others go without.
    winners = {}
    for _, place, box in sorted(min(options) for options in takers.values()):
        winners.setdefault(place, box)
    total = 0.0
    for level, values in enumerate(logits):
        boxes = decode([values], ANCHORS[level : level + 1], [STRIDES[level]])[0].view(*values.shape[:4], 4)
        expected = torch.zeros(values.shape[:-1])
        for (own, *at), box in winners.items():
            if own == level:
                ciou = 1 - complete_box_iou_loss(boxes[tuple(at)], targets.boxes[box])
                expected[tuple(at)] = max(ciou.item(), 0)
        total += torch.nn.functional.binary_cross_entropy(values[..., 4].sigmoid(), expected, reduction='sum').item()
    return total / len(winners)


@pytest.mark.parametrize('name', LOSSES)
def test_equals_the_slow_loss_beside_that_of_the_head(name):
    loss = loss_of(name, objectness_gain=1.0)
    for seed in range(3):
        targets, logits, alone = drawn(seed)
        total, *parts = loss([*logits, *alone], targets)
        usual = loss.loss(logits, targets)
        assert torch.equal(torch.stack(parts[:3]), torch.stack(usual[1:]))
        assert parts[3].item() == pytest.approx(slow_loss(alone, targets), rel=1e-4)
        assert total.item() == pytest.approx((usual.total + parts[3]).item())
    assert loss.parts == ('box', 'objectness', 'classes', 'one_to_one')


def test_pictures_without_objects_teach_that_there_are_none():
    _, logits, alone = drawn(0)
    empty = Targets(torch.zeros(0, dtype=torch.int64), torch.zeros(0, dtype=torch.int64), torch.zeros(0, 4))
    alone = [level.requires_grad_() for level in alone]
    total, *_ = loss_of()([*logits, *alone], empty)
    total.backward()
    assert all((level.grad[..., 4] > 0).all() and not level.grad[..., 5:].any() for level in alone)


def test_a_detector_with_the_branch_has_this_loss():
    settings = {'num_classes': 2, 'image_size': 64}
    for one_to_one in (True, False):
        network = create_detector('mbv3_yolo_small_050', one_to_one=one_to_one, **settings)
        assert isinstance(create_loss(network, TrainConfig()), OneToOneLoss) == one_to_one
