"""Cross-entropy and Dice, compared with plain loops and finite differences."""

import pytest
import torch
from torch.nn.functional import cross_entropy

from mbv3zoo.config.training import TrainConfig
from mbv3zoo.training.segmentation_loss import SegmentationLoss


@pytest.fixture
def batch():
    torch.manual_seed(0)
    logits = torch.randn(2, 4, 3, 5, dtype=torch.float64, requires_grad=True)
    masks = torch.randint(0, 3, (2, 3, 5), dtype=torch.uint8)
    masks[0, 0] = 255
    return logits, masks


def loss(dice_gain):
    return SegmentationLoss(TrainConfig(dice_gain=dice_gain))


def plain_dice(logits, masks):
    """Class by class, pixel by pixel."""
    shares, overlaps = logits.detach().softmax(1), []
    for label in range(logits.shape[1]):
        common = total = expected = 0.0
        for b, y, x in torch.nonzero(masks != 255).tolist():
            share, is_class = float(shares[b, label, y, x]), int(masks[b, y, x]) == label
            common, total, expected = common + share * is_class, total + share, expected + is_class
        if expected:
            overlaps.append(2 * common / (total + expected))
    return 1 - sum(overlaps) / len(overlaps)


def test_parts_are_those_of_plain_implementations(batch):
    logits, masks = batch
    losses = loss(0.5)(logits, masks)
    expected = cross_entropy(logits, masks.long(), ignore_index=255)
    assert losses.cross_entropy.item() == pytest.approx(expected.item(), rel=1e-5)
    assert losses.dice.item() == pytest.approx(0.5 * plain_dice(logits, masks), rel=1e-5)
    assert losses.total.item() == pytest.approx(losses.cross_entropy.item() + losses.dice.item())
    assert loss(0)(logits, masks).dice == 0


def test_gradients_are_finite_differences_and_ignored_pixels_have_none(batch):
    logits, masks = batch
    (gradient,) = torch.autograd.grad(loss(1)(logits, masks).total, logits)
    assert not gradient[0, :, 0].any() and gradient[1].any()
    step = 1e-2
    for place in ((0, 1, 1, 2), (1, 3, 0, 0), (1, 0, 2, 4)):
        with torch.no_grad():
            values = []
            for sign in (1, -1):
                moved = logits.clone()
                moved[place] += sign * step
                values.append(loss(1)(moved, masks).total.item())
        assert gradient[place].item() == pytest.approx((values[0] - values[1]) / (2 * step), rel=0.02, abs=2e-4)


def test_a_batch_without_a_known_pixel_has_a_finite_loss_and_no_gradient(batch):
    logits, masks = batch
    losses = loss(1)(logits, torch.full_like(masks, 255))
    losses.total.backward()
    assert losses.total == 0 and not logits.grad.any()
