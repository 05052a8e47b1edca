import pytest
import torch
from loss_cases import NO_TARGETS, TARGETS, logits_of, loss_of

from mbv3zoo.data.loader import Targets
from mbv3zoo.training.loss_parts import Losses


def of_half(targets, half):
    """The labels of two of four pictures."""
    own = targets.image_index // 2 == half
    return Targets(targets.image_index[own] % 2, targets.labels[own], targets.boxes[own])


@pytest.mark.parametrize('name', ['yolov5', 'simota'])
@pytest.mark.parametrize('pictures', [(0, 0, 1, 2), (1, 1, 1, 1), (2, 3, 3, 3), (0, 1, 2, 3)])
def test_two_processes_learn_what_one_with_both_batches_does(pictures, name, monkeypatch):
    targets = TARGETS._replace(image_index=torch.tensor(pictures))
    logits = logits_of(batch=4)
    whole = loss_of(loss=name)(logits, targets)
    whole.total.backward()

    seen = []
    loss = loss_of(loss=name, processes=2)
    batches = [
        ([level.detach()[2 * half : 2 * half + 2].requires_grad_() for level in logits], of_half(targets, half))
        for half in range(2)
    ]
    # First each tells what it counts, then each is told the sum.
    monkeypatch.setattr(torch.distributed, 'all_reduce', lambda counts: seen.append(counts.clone()))
    for batch in batches:
        loss(*batch)
    monkeypatch.setattr(torch.distributed, 'all_reduce', lambda counts: counts.copy_(seen[0] + seen[1]))
    losses = [loss(*batch) for batch in batches]
    for part in losses:
        part.total.backward()
    assert len(seen) == 2 and not torch.equal(*seen)
    for level, parts in zip(logits, zip(*(batch[0] for batch in batches), strict=True), strict=True):
        # DistributedDataParallel takes the mean of the gradients.
        together = torch.cat([part.grad for part in parts]) / 2
        torch.testing.assert_close(together, level.grad, rtol=1e-4, atol=1e-7)
    for name in Losses._fields:
        both = sum(getattr(part, name) for part in losses) / 2
        torch.testing.assert_close(both, getattr(whole, name), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize('name', ['yolov5', 'simota'])
def test_two_processes_without_boxes(name, monkeypatch):
    monkeypatch.setattr(torch.distributed, 'all_reduce', lambda counts: None)
    logits = logits_of()
    losses = loss_of(loss=name, processes=2)(logits, NO_TARGETS)
    losses.total.backward()
    assert losses.total.isfinite() and losses.box == 0
    assert all(level.grad.isfinite().all() for level in logits)


def test_one_process_asks_no_other(monkeypatch):
    def refuse(*args):
        raise AssertionError('asked')

    monkeypatch.setattr(torch.distributed, 'all_reduce', refuse)
    assert loss_of()(logits_of(), TARGETS).total > 0
