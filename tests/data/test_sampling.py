import pytest
import torch

from mbv3zoo.config.training import TrainConfig
from mbv3zoo.data.detection_set import DetectionSet
from mbv3zoo.data.masks import MaskRecord, MaskSet, Shapes
from mbv3zoo.data.records import Record
from mbv3zoo.data.samples import TrainSamples
from mbv3zoo.data.sampling import draw_order, image_weights, repeat_factors

NAMES = ('common', 'usual', 'rare', 'never')
# The classes of each image, with an object of one class twice.
IMAGES = [[0], [0, 0], [0, 1], [0], [1], [0, 1], [0, 2], [], []]


def set_of(images, crowds=()):
    records = []
    for i, labels in enumerate(images):
        count = len(labels)
        boxes = torch.tensor([[1.0, 1, 9, 9]]).repeat(count, 1)
        crowd = torch.full((count,), i in crowds)
        records.append(
            Record(f'{i}.png', (32, 32), boxes, torch.tensor(labels, dtype=torch.int64), boxes[:, 0], crowd, i)
        )
    return DetectionSet(records, NAMES)


def plain_factors(images):
    """Section 4.4 of the paper, image by image."""
    share = {c: sum(c in own for own in images) / len(images) for c in range(len(NAMES))}
    seen = sorted(f for f in share.values() if f)
    threshold = seen[len(seen) // 2]  # three classes are seen
    return [max([1.0, *(max(1.0, (threshold / share[c]) ** 0.5) for c in own)]) for own in images]


def test_repeat_factors_are_those_of_the_paper():
    weights = image_weights(set_of(IMAGES), TrainConfig(balance='classes'))
    assert weights.tolist() == pytest.approx(plain_factors(IMAGES))
    assert weights[6] == pytest.approx(3**0.5) and weights[0] == weights[7] == 1


def test_without_a_setting_every_image_is_shown_once():
    assert image_weights(set_of(IMAGES), TrainConfig()) is None
    # Classes that are alike need no balance.
    assert image_weights(set_of([[0], [1], [2]]), TrainConfig(balance='classes')) is None


def test_images_without_objects_have_their_weight():
    weights = image_weights(set_of([[0], [], [1]], crowds=[2]), TrainConfig(background_weight=0.25))
    # A crowd is no object to learn.
    assert weights.tolist() == [1, 0.25, 0.25]
    with pytest.raises(ValueError, match='background_weight is 0, and none of the 2 training pictures has an object'):
        image_weights(set_of([[], []]), TrainConfig(background_weight=0))
    with pytest.raises(ValueError, match='background_weight'):
        TrainConfig.parse({'background_weight': -1})


def test_masks_are_weighted_by_their_classes():
    shapes = Shapes((4, 4), ())
    records = [MaskRecord(f'{i}.png', (4, 4), shapes, frozenset(own), i) for i, own in enumerate(IMAGES)]
    names = ('Background', *NAMES[1:])
    weights = image_weights(MaskSet(records, names), TrainConfig(balance='classes', background_weight=0.5))
    assert weights.tolist() == pytest.approx([0.5, 0.5, 1, 0.5, 1, 1, (2 / 1) ** 0.5, 0.5, 0.5])


def test_no_class_at_all():
    none = torch.zeros(0, dtype=torch.int64)
    assert repeat_factors(none, none, 3, 4).tolist() == [1, 1, 1]
    assert repeat_factors(none, none, 0, 0).tolist() == []


@pytest.mark.parametrize('seed', [0, 1, -5, 2**70])
def test_each_image_is_drawn_as_often_as_its_weight_says(seed):
    weights = torch.tensor([1, 3, 0, 1.5, 0.25, 1, 1, 0], dtype=torch.float64)
    expected = 8 * weights / weights.sum()
    counts = torch.bincount(draw_order(weights, seed), minlength=8)
    assert (counts >= expected.floor()).all() and (counts <= expected.ceil()).all() and counts.sum() == 8
    assert torch.equal(draw_order(weights, seed), draw_order(weights, seed))
    many = torch.stack([torch.bincount(draw_order(weights, seed + i), minlength=8) for i in range(400)])
    torch.testing.assert_close(many.double().mean(0), expected, atol=0.1, rtol=0)


def test_an_epoch_has_as_many_samples_and_shows_what_is_drawn(tmp_path):
    data = set_of([[0]] * 20 + [[2]] + [[]] * 9)
    for record in data.records:
        assert not record.path.is_absolute()
    samples = TrainSamples(data, (32, 32), TrainConfig(balance='classes', background_weight=0, epochs=4))
    assert len(samples) == 30
    orders = []
    for epoch in (0, 1, 1):
        samples.set_epoch(epoch)
        orders.append(samples._order.tolist())
    assert orders[0] != orders[1] == orders[2] and max(orders[0]) <= 20
    # sqrt(0.35 / (1 / 30)) = 3.2 of 23.2 weights, 30 samples
    assert sum(order.count(20) for order in orders[:2]) / 2 == pytest.approx(4.2, abs=1)
