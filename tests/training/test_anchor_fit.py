import logging
import math

import pytest
import torch
from labelled import as_set, record

from mbv3zoo.config.detector import DEFAULT_ANCHORS
from mbv3zoo.training.anchor_fit import anchor_recall, box_sides, choose_anchors, fit_anchors


def random_sides(seed, count, low=3.0, high=400.0):
    generator = torch.Generator().manual_seed(seed)
    return torch.exp(torch.rand(count, 2, generator=generator) * math.log(high / low)) * low


def set_of(sides, size=(640, 640)):
    """One picture with a box of each size."""
    return as_set(record(0, [[0, 0, width, height] for width, height in sides], size=size))


def flat(anchors):
    return [pair for level in anchors for pair in level]


# Sides


def test_sides_are_those_in_the_letterbox():
    data = as_set(
        record(0, [[10, 20, 40, 100], [0, 0, 5, 9]], size=(640, 320)),
        record(1, [], size=(50, 50)),
        record(2, [[0, 0, 20, 10]], size=(100, 160)),
    )
    expected = torch.tensor([[15.0, 40], [2.5, 4.5], [40, 20]])
    torch.testing.assert_close(box_sides(data, (320, 320)), expected)
    # (height, width): the tall picture fits by its height, the wide one by its width.
    torch.testing.assert_close(box_sides(data, (640, 320))[[0, 2]], torch.tensor([[30.0, 80], [40, 20]]))


def test_crowds_and_what_training_drops_do_not_count():
    boxes = [[0, 0, 20, 30], [0, 0, 200, 300], [5, 5, 6.9, 40], [5, 5, 40, 6.9], [5, 5, 7, 40]]
    crowd = [False, True, False, False, False]
    assert box_sides(as_set(record(0, boxes, crowd=crowd, size=(640, 640))), (640, 640)).tolist() == [[20, 30], [2, 35]]
    # At half the size the narrow one is too narrow as well.
    assert box_sides(as_set(record(0, boxes, crowd=crowd, size=(640, 640))), (320, 320)).tolist() == [[10, 15]]


def test_sides_of_nothing():
    for data in (as_set(), as_set(record(0)), as_set(record(0, [[0, 0, 9, 9]], crowd=[True]))):
        assert box_sides(data, (320, 320)).shape == (0, 2)


# Recall


@pytest.mark.parametrize('ratio', [1.3, 2.0, 4.0])
def test_recall_equals_a_slow_count(ratio):
    sides = random_sides(0, 300)
    taken = 0
    for width, height in sides.tolist():
        taken += any(
            max(width / w, w / width, height / h, h / height) < ratio for level in DEFAULT_ANCHORS for w, h in level
        )
    assert 0 < taken < 300
    assert anchor_recall(sides, torch.tensor(DEFAULT_ANCHORS), ratio) == pytest.approx(taken / 300)


def test_recall_is_exclusive_and_of_nothing_is_one():
    anchors = torch.tensor([[16.0, 16.0]])
    assert anchor_recall(torch.tensor([[64.0, 16], [63.9, 16], [16, 4], [16, 4.1]]), anchors, 4.0) == 0.5
    assert anchor_recall(torch.zeros(0, 2), anchors, 4.0) == 1


# Fitting


@pytest.mark.parametrize(('levels', 'per_level'), [(3, 3), (3, 2), (2, 4), (1, 1)])
def test_each_anchor_is_the_mean_of_the_boxes_that_are_nearest_to_it(levels, per_level):
    sides = random_sides(1, 400)
    anchors = fit_anchors(sides, levels, per_level)
    assert len(anchors) == levels and all(len(level) == per_level for level in anchors)
    members = [[] for _ in range(levels * per_level)]
    for width, height in sides.tolist():
        # Anchors are rounded to a tenth of a pixel, which does not move a box of this set to another one.
        distances = [math.log(width / w) ** 2 + math.log(height / h) ** 2 for w, h in flat(anchors)]
        members[distances.index(min(distances))].append((width, height))
    for (width, height), own in zip(flat(anchors), members, strict=True):
        assert own
        assert width == pytest.approx(math.exp(sum(math.log(w) for w, _ in own) / len(own)), abs=0.051, rel=2e-3)
        assert height == pytest.approx(math.exp(sum(math.log(h) for _, h in own) / len(own)), abs=0.051, rel=2e-3)


def test_anchors_are_sorted_by_area_and_always_the_same():
    sides = random_sides(2, 500)
    anchors = fit_anchors(sides, 3, 3)
    areas = [width * height for width, height in flat(anchors)]
    assert areas == sorted(areas) and len(set(areas)) == 9
    before = sides.clone()
    assert fit_anchors(sides, 3, 3) == anchors and torch.equal(before, sides)
    # The order of the pictures does not matter.
    shuffled = sides[torch.randperm(500, generator=torch.Generator().manual_seed(0))]
    for pair, other in zip(flat(anchors), flat(fit_anchors(shuffled, 3, 3)), strict=True):
        assert pair == pytest.approx(other, abs=0.11)


def test_clusters_are_found():
    centres = [(6, 8), (20, 12), (25, 50), (90, 40), (60, 200), (300, 280)]
    generator = torch.Generator().manual_seed(0)
    sides = torch.cat([torch.tensor(c) * (1 + 0.05 * torch.randn(40, 2, generator=generator)) for c in centres])
    for pair, centre in zip(flat(fit_anchors(sides, 3, 2)), centres, strict=True):
        assert pair == pytest.approx(centre, rel=0.03)


def test_many_equal_boxes_take_one_anchor_and_leave_the_others():
    sides = torch.cat([torch.full((900, 2), 20.0), random_sides(3, 100, 150, 600)])
    anchors = flat(fit_anchors(sides, 3, 3))
    assert len(set(anchors)) == 9 and anchors[0] == (20, 20) and anchors[1][0] > 100


def test_fewer_boxes_than_anchors():
    sides = torch.tensor([[10.0, 20], [100, 50], [10, 20], [300, 400]])
    anchors = flat(fit_anchors(sides, 3, 3))
    assert len(anchors) == 9 and set(anchors) == {(10, 20), (100, 50), (300, 400)}
    assert flat(fit_anchors(torch.full((50, 2), 33.0), 3, 3)) == [(33, 33)] * 9
    assert flat(fit_anchors(torch.tensor([[7.0, 5.0]]), 3, 3)) == [(7, 5)] * 9


def test_extreme_sides():
    sides = torch.tensor([[2.0, 2], [2, 4000], [4000, 2], [4000, 4000]])
    anchors = flat(fit_anchors(sides, 3, 3))
    assert set(anchors) == {(2, 2), (2, 4000), (4000, 2), (4000, 4000)}


# Choosing


@pytest.fixture
def log(caplog):
    caplog.set_level(logging.INFO, logger='mbv3zoo')
    return caplog


def choose(sides, mode, given=DEFAULT_ANCHORS, image_size=(640, 640), ratio=4.0):
    return choose_anchors(set_of(sides), image_size, given, mode, ratio)


def test_auto_keeps_anchors_that_take_the_boxes(log):
    assert choose(random_sides(0, 200, 12, 200).tolist(), 'auto') is DEFAULT_ANCHORS
    assert log.messages == []


def test_auto_replaces_anchors_that_do_not_and_says_so(log):
    sides = [[3 + i % 5 / 3, 4 + i % 7 / 5] for i in range(60)] + [[400, 20]] * 3
    assert anchor_recall(torch.tensor(sides), torch.tensor(DEFAULT_ANCHORS), 4.0) < 0.98
    anchors = choose(sides, 'auto', ratio=2.0)
    assert anchors == fit_anchors(torch.tensor(sides), 3, 3)
    assert anchor_recall(torch.tensor(sides), torch.tensor(anchors), 2.0) == 1
    assert [r.levelname for r in log.records] == ['INFO']
    assert 'fitted' in log.text and '100.0 %' in log.text and str(anchors) in log.text


def test_the_bound_is_98_percent(log):
    for missed, kept in ((2, True), (3, False)):
        sides = [[30.0, 40.0]] * (100 - missed) + [[3.0, 400.0]] * missed
        assert (choose(sides, 'auto') is DEFAULT_ANCHORS) == kept


def test_auto_keeps_anchors_where_fitted_ones_are_no_better(log):
    # The one anchor's mean lies between the two sizes and takes neither.
    sides, given = [[10, 10]] * 6 + [[600, 600]] * 4, (((10.0, 10.0),),)
    assert choose(sides, 'auto', given) is given
    assert [r.levelname for r in log.records] == ['WARNING'] and '60.0 %' in log.text and 'no more' in log.text
    log.clear()
    assert choose(sides, 'fit', given) == fit_anchors(torch.tensor(sides).float(), 1, 1) != given
    assert '0.0 %' in log.text and '60.0 %' in log.text


def test_keep_keeps_and_warns(log):
    given = (((300.0, 300.0),),) * 3
    assert choose([[10, 10]] * 9 + [[300, 300]], 'keep', given) is given
    assert [r.levelname for r in log.records] == ['WARNING'] and '10.0 %' in log.text and 'auto' in log.text
    log.clear()
    assert choose([[250, 310]], 'keep', given) is given and log.messages == []


def test_fit_always_fits(log):
    sides = random_sides(0, 200, 12, 200)
    anchors = choose(sides.tolist(), 'fit')
    assert anchors == fit_anchors(sides, 3, 3) != DEFAULT_ANCHORS
    assert len(log.messages) == 1 and str(anchors) in log.text
    # As many as there were.
    given = (((10.0, 10.0), (11.0, 11.0)),) * 3
    assert [len(level) for level in choose(sides.tolist(), 'fit', given)] == [2, 2, 2]


@pytest.mark.parametrize('mode', ['auto', 'fit', 'keep'])
def test_without_boxes_the_anchors_stay(mode, log):
    assert choose([], mode) is DEFAULT_ANCHORS
    assert choose([[1.5, 300], [300, 1.5]], mode) is DEFAULT_ANCHORS
    assert log.messages == []


def test_the_scale_of_the_letterbox_counts(log):
    sides = [[60.0, 50.0], [90, 80], [120, 120]] * 20
    data = set_of(sides, size=(3200, 3200))
    given = (((60.0, 50.0), (90.0, 80.0), (120.0, 120.0)),) * 3
    assert choose_anchors(data, (3200, 3200), given, 'auto', 4.0) is given
    anchors = choose_anchors(data, (320, 320), given, 'auto', 4.0)
    assert set(flat(anchors)) == {(6, 5), (9, 8), (12, 12)}


def test_crowds_do_not_count(log):
    data = as_set(record(0, [[0, 0, 30, 40], [0, 0, 3, 600]], crowd=[False, True], size=(640, 640)))
    assert choose_anchors(data, (640, 640), DEFAULT_ANCHORS, 'auto', 4.0) is DEFAULT_ANCHORS
    assert set(flat(choose_anchors(data, (640, 640), DEFAULT_ANCHORS, 'fit', 4.0))) == {(30, 40)}
