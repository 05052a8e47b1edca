import pytest
import torch

from mbv3zoo.models.head_transfer import kept_classes, transfer_head

CHANNELS, ANCHORS = 4, 3
TRAINED = ('cat', 'dog', 'owl')


def weight(num_classes, seed, anchors=ANCHORS, channels=CHANNELS):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(anchors * (5 + num_classes), channels, 1, 1, generator=generator)


def expected_rows(trained, fresh, trained_names, names):
    """Row by row: anchor by anchor, then x, y, w, h, objectness, classes."""
    rows = []
    for anchor in range(ANCHORS):
        old, new = anchor * (5 + len(trained_names)), anchor * (5 + len(names))
        rows += [trained[old + i] for i in range(5)]
        for k, name in enumerate(names):
            known = [j for j, other in enumerate(trained_names) if other == name]
            rows.append(trained[old + 5 + known[0]] if known else fresh[new + 5 + k])
    return torch.stack(rows)


@pytest.mark.parametrize(
    'names',
    [
        ('cat', 'dog', 'owl'),
        ('owl', 'cat', 'dog'),  # the same in another order
        ('dog', 'owl', 'bee', 'cat', 'ant'),  # more
        ('owl', 'cat'),  # fewer
        ('owl',),
        ('bee', 'cat', 'ant'),  # as many, others
        ('Cat', 'dogs', ' owl'),  # none in common
        ('0', '1'),
    ],
)
def test_rows_by_hand(names):
    for shape in ((-1, CHANNELS, 1, 1), (-1,)):  # a weight, a bias
        channels = CHANNELS if len(shape) > 1 else 1
        trained = weight(3, 0, channels=channels).reshape(shape)
        fresh = weight(len(names), 1, channels=channels).reshape(shape)
        before = trained.clone(), fresh.clone()
        moved = transfer_head(trained, fresh, TRAINED, names)
        assert moved.shape == fresh.shape
        assert torch.equal(moved, expected_rows(trained, fresh, TRAINED, names))
        assert torch.equal(trained, before[0]) and torch.equal(fresh, before[1])
    if names == TRAINED:
        assert torch.equal(moved, trained)


def test_the_row_of_a_single_class_is_not_kept():
    """Nothing was learned in it: the loss has no class part then."""
    trained, fresh = weight(1, 0), weight(2, 1)
    moved = transfer_head(trained, fresh, ('cat',), ('cat', 'dog')).view(ANCHORS, 7, CHANNELS)
    assert torch.equal(moved[:, :5], trained.view(ANCHORS, 6, CHANNELS)[:, :5])
    assert torch.equal(moved[:, 5:], fresh.view(ANCHORS, 7, CHANNELS)[:, 5:])


def test_kept_classes():
    assert kept_classes(TRAINED, ('owl', 'bee', 'cat')) == ['owl', 'cat']
    assert kept_classes(TRAINED, ('bee',)) == [] and kept_classes(TRAINED, ('dog',)) == ['dog']
    assert kept_classes(('cat',), ('cat', 'dog')) == []


def test_the_type_is_that_of_the_fresh_head():
    moved = transfer_head(weight(3, 0).half(), weight(2, 1), TRAINED, ('owl', 'bee'))
    assert moved.dtype == torch.float32 and torch.equal(moved[:5], weight(3, 0).half().float()[:5])


def test_other_anchors_are_refused():
    with pytest.raises(ValueError, match='has 3 anchors.*expected 2'):
        transfer_head(weight(3, 0), weight(4, 1, anchors=2), TRAINED, ('a', 'b', 'c', 'd'))
    # Also where the number of outputs is the same by chance: 3 * (5 + 3) = 4 * (5 + 1).
    with pytest.raises(ValueError, match='has 3 anchors.*expected 4'):
        transfer_head(weight(3, 0), weight(1, 1, anchors=4), TRAINED, ('cat',))


def test_other_channels_are_refused():
    with pytest.raises(ValueError, match=r'\[4, 1, 1\].*\[6, 1, 1\]'):
        transfer_head(weight(3, 0), weight(2, 1, channels=6), TRAINED, ('a', 'b'))


def test_a_head_that_is_not_for_its_names_is_refused():
    with pytest.raises(ValueError, match='24 outputs.*multiple of 9.*4 classes'):
        transfer_head(weight(3, 0), weight(2, 1), ('a', 'b', 'c', 'd'), ('a', 'b'))
