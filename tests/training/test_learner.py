import copy
import math
import time

import pytest
import torch
from tiny_learner import learner_of, tiny_train_set
from torch.utils._python_dispatch import TorchDispatchMode

from mbv3zoo.config.training import TrainConfig
from mbv3zoo.training.assigner import Assignment
from mbv3zoo.training.loss_watch import LossWatch
from mbv3zoo.training.losses import LOSSES
from mbv3zoo.training.segmentation_loss import SegmentationLoss


@pytest.fixture(scope='module')
def train_set(tmp_path_factory):
    return tiny_train_set(tmp_path_factory.mktemp('set'))


def equal(one, two):
    return all(torch.equal(one.state_dict()[name], value) for name, value in two.state_dict().items())


def test_an_epoch_goes_on_from_a_state_to_the_same_bits(train_set, tmp_path):
    whole = learner_of(train_set, tmp_path)
    whole.train_epoch(0)
    again = learner_of(train_set, tmp_path, weights=99)
    assert not equal(again.model, whole.model)
    again.load_state_dict(copy.deepcopy(whole.state_dict()), 1)
    assert whole.train_epoch(1) == again.train_epoch(1)
    assert equal(again.model, whole.model) and equal(again.kept, whole.kept) and again.kept is again.ema.module
    rates = [learner.optimizer.param_groups[0]['lr'] for learner in (whole, again)]
    assert rates[0] == rates[1] < whole.config.lr


def test_batches_that_are_left_over_are_an_update_too(train_set, tmp_path):
    assert learner_of(train_set, tmp_path, accumulate=1).updates_per_epoch == 3
    assert learner_of(train_set, tmp_path, accumulate=2).updates_per_epoch == 2


def test_time_spent_waiting_is_counted_for_each_epoch(train_set, tmp_path):
    learner = learner_of(train_set, tmp_path)

    def slowly():
        for _ in range(3):
            time.sleep(0.02)
            yield None

    learner.loader = slowly()
    assert list(learner._batches()) == [None] * 3 and learner.waited >= 0.06
    learner.loader = []
    assert list(learner._batches()) == [] and learner.waited == 0


class NoWaiting(TorchDispatchMode):
    """Fails where a number is read or a shape depends on one: a GPU would be waited for."""

    reading = (
        '_local_scalar_dense',
        'is_nonzero',
        'equal',
        'nonzero',
        'masked_select',
        'bincount',
        'unique',
        '_unique2',
    )

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = func._schema.name.removeprefix('aten::')
        assert name not in self.reading, f'{name} waits for the device'
        masks = (
            [index for index in args[1] if index is not None] if name in ('index', 'index_put', 'index_put_') else []
        )
        assert all(mask.dtype != torch.bool for mask in masks), f'{name} with a mask waits for the device'
        return func(*args, **(kwargs or {}))


def keep_on_gpu(self, kept):
    """What `Assignment.keep` does on a GPU; on a CPU, where there is nothing to wait for, it leaves rows out."""
    return self._replace(box_index=torch.where(kept, self.box_index, -1))


def refuse_to_read(*args):
    raise AssertionError('the device is waited for')


@pytest.mark.parametrize('loss', LOSSES)
def test_no_step_waits_for_the_device(train_set, tmp_path, monkeypatch, loss):
    learner = learner_of(train_set, tmp_path, loss=loss)
    batches = list(learner.loader)
    watch = LossWatch(learner.loss.parts, torch.device('cpu'))
    # torch's and timm's own; its counter of steps, which it reads, is on the CPU for every device.
    monkeypatch.setattr(learner.optimizer, 'step', lambda: None)
    monkeypatch.setattr(Assignment, 'keep', keep_on_gpu)
    with monkeypatch.context() as reading, NoWaiting():
        for name in ('__bool__', '__int__', '__float__', 'item', 'tolist'):
            reading.setattr(torch.Tensor, name, refuse_to_read)
        for update, batch in enumerate(batches, start=1):
            watch.add(learner._step(*batch, update), update)
            watch.ask()
    assert watch.means()['box'] > 0


def test_the_loss_of_masks_does_not_wait_for_the_device():
    logits, masks = torch.randn(2, 4, 8, 8, requires_grad=True), torch.randint(4, (2, 8, 8), dtype=torch.uint8)
    with NoWaiting():
        SegmentationLoss(TrainConfig())(logits, masks).total.backward()


@pytest.mark.parametrize('loss', LOSSES)
def test_losses_with_rows_of_no_box_are_those_without(train_set, tmp_path, monkeypatch, loss):
    learner = learner_of(train_set, tmp_path, loss=loss)
    images, targets = next(iter(learner.loader))
    logits = [level.detach().requires_grad_() for level in learner.model(images.float() / 255)]

    def losses():
        found = learner.loss(logits, targets)
        return [*found, *torch.autograd.grad(found.total, logits)]

    expected = losses()
    monkeypatch.setattr(Assignment, 'keep', keep_on_gpu)
    for one, other in zip(losses(), expected, strict=True):
        torch.testing.assert_close(one, other)


def test_weights_that_are_not_finite_are_named(train_set, tmp_path):
    learner = learner_of(train_set, tmp_path, ema_decay=0)
    learner.check_weights()
    learner.kept.head.convs[1].bias.data.fill_(math.nan)
    with pytest.raises(FloatingPointError, match=r'^1 weights are no longer finite, head\.convs\.1\.bias first$'):
        learner.check_weights()
    with pytest.raises(FloatingPointError, match=r'^the loss is no longer finite at update 1 \(total '):
        learner.train_epoch(0)


@pytest.mark.slow  # compiling takes a minute
def test_a_compiled_network_learns_and_is_saved_as_one_that_is_not(train_set, tmp_path):
    plain = learner_of(train_set, tmp_path)
    compiled = learner_of(train_set, tmp_path, compile=True)
    for one, other in zip(plain.train_epoch(0), compiled.train_epoch(0), strict=True):
        assert other == pytest.approx(one, rel=1e-3)
    assert list(compiled.state_dict()['model']) == list(plain.state_dict()['model'])
    again = learner_of(train_set, tmp_path)
    again.load_state_dict(copy.deepcopy(compiled.state_dict()), 1)
    compiled.kept.save_pretrained(tmp_path / 'saved')
