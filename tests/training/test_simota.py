import math

import pytest
import torch

from mbv3zoo.config.detector import DEFAULT_ANCHORS, STRIDES
from mbv3zoo.config.training import TrainConfig
from mbv3zoo.data.loader import Targets
from mbv3zoo.models.postprocess.dense import decode
from mbv3zoo.training.assigner import Assignment, assign
from mbv3zoo.training.simota import choose
from mbv3zoo.training.simota_loss import SimOTALoss

ANCHORS = torch.tensor(DEFAULT_ANCHORS)
HEIGHT, WIDTH = 64, 96
GRIDS = [(HEIGHT // stride, WIDTH // stride) for stride in STRIDES]


def sigmoid(x):
    return 1 / (1 + math.exp(-x))


def slow_choose(candidates, logits, ious):
    """One box after the other, then one place after the other; returns the kept rows of each level."""
    wants = {}  # box -> [(cost, iou, level, row)]
    places = {}
    for level, (candidate, values, level_ious) in enumerate(zip(candidates, logits, ious, strict=True)):
        fields = [field.tolist() for field in candidate]
        for row, (image, anchor, y, x, _, label, box) in enumerate(zip(*fields, strict=True)):
            places[level, row] = (level, image, anchor, y, x)
            objectness, *classes = values[image, anchor, y, x, 4:].tolist()
            cost = -3 * math.log(level_ious[row].item() + 1e-8)
            for k, logit in enumerate(classes):
                p = math.sqrt(sigmoid(objectness) * sigmoid(logit))
                cost -= math.log(p if k == label else 1 - p)
            wants.setdefault(box, []).append((cost, level_ious[row].item(), level, row))
    takers = {}  # place -> [(cost, level, row)]
    for options in wants.values():
        k = max(int(sum(sorted((iou for _, iou, _, _ in options), reverse=True)[:10])), 1)
        for cost, _, level, row in sorted(options)[:k]:
            takers.setdefault(places[level, row], []).append((cost, level, row))
    kept = {min(taker)[1:] for taker in takers.values()}
    contested = sum(len(taker) > 1 for taker in takers.values())
    return [sorted(row for at, row in kept if at == level) for level in range(len(candidates))], contested


def slow_ious(candidates, logits, targets):
    """IoUs of the decoded boxes, in pixels of the picture, with those to be learned."""
    ious = []
    for candidate, values, anchors, stride in zip(candidates, logits, ANCHORS, STRIDES, strict=True):
        boxes = decode([values], anchors[None], [stride])[0].view(*values.shape[:4], 4)
        level = []
        for image, anchor, y, x, box in zip(*(candidate[i].tolist() for i in (0, 1, 2, 3, 6)), strict=True):
            (left, top, right, bottom), (x1, y1, x2, y2) = boxes[image, anchor, y, x].tolist(), targets.boxes[box]
            inter = max(min(right, x2) - max(left, x1), 0) * max(min(bottom, y2) - max(top, y1), 0)
            level.append(float(inter / ((right - left) * (bottom - top) + (x2 - x1) * (y2 - y1) - inter)))
        ious.append(torch.tensor(level))
    return ious


def crowded(seed, classes, count=14):
    """Boxes over one another in two pictures, what could learn them, and logits near the start of training."""
    generator = torch.Generator().manual_seed(seed)
    corner = torch.rand(count, 2, generator=generator) * torch.tensor([WIDTH / 2, HEIGHT / 2])
    side = 6 + torch.rand(count, 2, generator=generator) * 40
    targets = Targets(
        torch.randint(2, (count,), generator=generator),
        torch.randint(classes, (count,), generator=generator),
        torch.cat([corner, corner + side], 1),
    )
    logits = [torch.randn(2, 3, *grid, 5 + classes, generator=generator) for grid in GRIDS]
    return targets, assign(targets, ANCHORS, STRIDES, GRIDS), logits


def rows(level):
    return torch.cat([field.double().unsqueeze(-1).flatten(1) for field in level], 1).tolist()


@pytest.mark.parametrize('classes', [3, 1])
def test_equals_the_slow_choice(classes):
    contested, totals = 0, []
    for seed in range(4):
        targets, candidates, logits = crowded(seed, classes)
        ious = slow_ious(candidates, logits, targets)
        expected, fought_over = slow_choose(candidates, logits, ious)
        chosen = choose(candidates, logits, ious)
        for level, candidate, kept in zip(chosen, candidates, expected, strict=True):
            assert sorted(rows(level)) == sorted(rows(Assignment(*(field[kept] for field in candidate))))
            assert all(a.dtype == b.dtype for a, b in zip(level, candidate, strict=True))
        contested += fought_over
        totals.append(sum(len(kept) for kept in expected))
        # Something is left out, and the boxes have more than one anchor each.
        assert len(targets.boxes) < totals[-1] < sum(len(level.labels) for level in candidates) / 2
    assert contested > 5


def candidates_of(boxes, labels=None):
    """One level, one row of cells in one picture, one anchor: `boxes` names the columns that could learn each."""
    pairs = torch.tensor([(box, column) for box, columns in enumerate(boxes) for column in columns])
    zeros = torch.zeros(len(pairs), dtype=torch.int64)
    labels = zeros if labels is None else torch.tensor(labels)[pairs[:, 0]]
    return [Assignment(zeros, zeros, zeros, pairs[:, 1], torch.rand(len(pairs), 4), labels, pairs[:, 0])]


def columns_of(chosen, boxes):
    return [chosen[0].column[chosen[0].box_index == box].tolist() for box in range(boxes)]


def test_an_anchor_that_two_boxes_want_goes_to_the_cheaper_and_the_other_keeps_its_others():
    candidates = candidates_of([[0, 1, 2], [1, 2, 3]])
    # Both have two: of the first 0.95 and 0.9, of the second 0.99 and 0.9.
    ious = [torch.tensor([0.9, 0.95, 0.2, 0.99, 0.9, 0.3])]
    assert columns_of(choose(candidates, [torch.zeros(1, 1, 1, 4, 6)], ious), 2) == [[0], [1, 2]]
    # Where it is the other's by its IoU, it takes it.
    ious = [torch.tensor([0.9, 0.99, 0.2, 0.95, 0.9, 0.3])]
    assert columns_of(choose(candidates, [torch.zeros(1, 1, 1, 4, 6)], ious), 2) == [[0, 1], [2]]


def test_a_box_gets_one_anchor_at_least():
    logits = [torch.zeros(1, 1, 1, 4, 6)]
    for ious in ([0.0, 0, 0, 0], [0.01, 0, 0, 0.01], [0.3, 0.2, 0.25, 0.4]):
        chosen = choose(candidates_of([[0, 1, 2], [3]]), logits, [torch.tensor(ious)])
        assert columns_of(chosen, 2) == [[0], [3]]


def test_a_box_gets_the_sum_of_its_ten_largest_ious():
    logits = [torch.zeros(1, 1, 1, 40, 6)]
    for iou, expected in ((0.31, 3), (0.39, 3), (0.41, 4), (0.99, 9)):
        chosen = choose(candidates_of([range(40)]), logits, [torch.full((40,), iou)])
        assert len(chosen[0].labels) == expected
    assert len(choose(candidates_of([range(4)]), logits, [torch.ones(4)])[0].labels) == 4


def test_of_equal_boxes_the_better_class_and_objectness_count():
    ious = [torch.full((3,), 0.6)]
    logits = torch.zeros(1, 1, 1, 3, 7)
    logits[..., 2, 6] = 2  # the class
    logits[..., 1, 5] = 2  # another class
    chosen = choose(candidates_of([[0, 1, 2]], labels=[1]), [logits], ious)
    assert columns_of(chosen, 1) == [[2]]
    logits = torch.zeros(1, 1, 1, 3, 7)
    logits[..., 5:] = torch.tensor([-4.0, 4])
    logits[..., 1, 4] = 2
    chosen = choose(candidates_of([[0, 1, 2]], labels=[1]), [logits], ious)
    assert columns_of(chosen, 1) == [[1]]


def test_extreme_logits_and_ious():
    for value in (-200.0, 200.0):
        logits = [torch.full((1, 1, 1, 4, 6), value)]
        chosen = choose(candidates_of([[0, 1], [1, 2, 3]]), logits, [torch.tensor([0.0, 1, 1, 0, 0])])
        assert sum(map(len, columns_of(chosen, 2))) == len(set(chosen[0].column.tolist())) >= 1


def test_no_boxes():
    targets = Targets(torch.zeros(0, dtype=torch.int64), torch.zeros(0, dtype=torch.int64), torch.zeros(0, 4))
    candidates = assign(targets, ANCHORS, STRIDES, GRIDS)
    logits = [torch.randn(2, 3, *grid, 8) for grid in GRIDS]
    chosen = choose(candidates, logits, [torch.zeros(0)] * 3)
    assert [len(field) for level in chosen for field in level] == [0] * 21
    assert chosen[0].boxes.shape == (0, 4)


def test_a_level_without_candidates():
    targets, candidates, logits = crowded(0, 3)
    candidates[1] = Assignment(*(field[:0] for field in candidates[1]))
    ious = slow_ious(candidates, logits, targets)
    expected, _ = slow_choose(candidates, logits, ious)
    assert [len(level.labels) for level in choose(candidates, logits, ious)] == [len(kept) for kept in expected]
    assert expected[1] == [] and expected[0]


@pytest.mark.parametrize('classes', [3, 1])
def test_the_loss_learns_boxes_at_the_chosen_anchors_only(classes):
    targets, candidates, logits = crowded(5, classes)
    expected, _ = slow_choose(candidates, logits, slow_ious(candidates, logits, targets))
    logits = [level.requires_grad_() for level in logits]
    config = TrainConfig(loss='simota')
    SimOTALoss(ANCHORS, STRIDES, classes, (HEIGHT, WIDTH), config)(logits, targets).total.backward()
    for level, candidate, kept in zip(logits, candidates, expected, strict=True):
        places = {tuple(row) for row in torch.stack(candidate[:4], 1)[kept].tolist()}
        assert {tuple(row) for row in (level.grad[..., :4] != 0).any(-1).nonzero().tolist()} == places
        learns_class = {tuple(row) for row in (level.grad[..., 5:] != 0).any(-1).nonzero().tolist()}
        assert learns_class == (places if classes > 1 else set())
        assert (level.grad[..., 4] != 0).all()


def test_nothing_is_changed():
    targets, candidates, logits = crowded(0, 3)
    ious = slow_ious(candidates, logits, targets)
    before = [field.clone() for level in candidates for field in level] + [t.clone() for t in (*logits, *ious)]
    choose(candidates, logits, ious)
    after = [field for level in candidates for field in level] + [*logits, *ious]
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))
