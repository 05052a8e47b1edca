import copy

import pytest
import torch
from timm.optim import Muon
from timm.optim.muon import zeropower_via_newtonschulz
from torch import nn

from mbv3zoo.training.muon import BatchedMuon


def network():
    torch.manual_seed(0)
    # Wide, tall, square, alike but for a few columns, one of no matrix, and one that is in no loss.
    return nn.ModuleDict(
        {
            'wide': nn.Conv2d(24, 16, 3), 'tall': nn.Conv2d(8, 40, 1), 'square': nn.Linear(40, 40),
            'alike': nn.Conv2d(16, 24, 3), 'again': nn.Conv2d(24, 16, 3), 'depthwise': nn.Conv2d(16, 16, 3, groups=16),
            'unused': nn.Linear(16, 16),
        }
    ).to(memory_format=torch.channels_last)  # fmt: skip


def learn(model, optimizer, steps, seed=1):
    generator = torch.Generator().manual_seed(seed)
    for _ in range(steps):
        for name, parameter in model.named_parameters():
            if 'unused' not in name:
                parameter.grad = torch.randn(parameter.shape, generator=generator)
        optimizer.step()


def groups(model):
    decayed, others = [p for p in model.parameters() if p.dim() > 1], [p for p in model.parameters() if p.dim() == 1]
    return [{'params': decayed, 'weight_decay': 0.1}, {'params': others, 'weight_decay': 0.0, 'lr': 0.005}]


@pytest.mark.parametrize(('processor', 'dtype'), [('AVX2', torch.float32), ('AVX512', torch.bfloat16)])
@pytest.mark.parametrize('nesterov', [True, False])
def test_steps_are_those_of_timm(nesterov, processor, dtype, monkeypatch):
    # Products of bfloat16 matrices take many times as long as float32 ones on a processor without AVX-512.
    monkeypatch.setattr('torch.backends.cpu.get_cpu_capability', lambda: processor)
    types = set()

    def noted(*args, **kwargs):
        types.add(kwargs['dtype'])
        return zeropower_via_newtonschulz(*args, **kwargs)

    monkeypatch.setattr('mbv3zoo.training.muon.zeropower_via_newtonschulz', noted)
    models = network(), network()
    settings = {'lr': 0.02, 'momentum': 0.9, 'nesterov': nesterov, 'betas': (0.9, 0.999)}
    ours, timms = BatchedMuon(groups(models[0]), **settings), Muon(groups(models[1]), **settings)
    before = [p.detach().clone() for p in models[0].parameters()]
    learn(models[0], ours, 4)
    learn(models[1], timms, 4)
    for one, other, old in zip(models[0].parameters(), models[1].parameters(), before, strict=True):
        # bfloat16 has three digits: sums in another order differ in the last.
        moved, expected = one.detach() - old, other.detach() - old
        assert (moved - expected).norm() <= 0.01 * expected.norm()
    assert types == {dtype}
    assert torch.equal(models[0]['unused'].weight, network()['unused'].weight)


def test_a_run_of_timms_goes_on():
    model = network()
    first = Muon(groups(model), lr=0.02, nesterov=True)
    learn(model, first, 2)
    other = copy.deepcopy(model)
    ours, timms = BatchedMuon(groups(model), nesterov=True), Muon(groups(other))
    for optimizer in (ours, timms):
        optimizer.load_state_dict(copy.deepcopy(first.state_dict()))
    learn(model, ours, 2, seed=2)
    learn(other, timms, 2, seed=2)
    for one, expected in zip(model.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(one, expected, rtol=0.01, atol=1e-3)
    keys = [
        {name for entry in optimizer.state_dict()['state'].values() for name in entry} for optimizer in (ours, timms)
    ]
    assert keys[0] == keys[1]


def test_gradients_stay_after_a_step():
    model = network()
    optimizer = BatchedMuon(model.parameters())
    learn(model, optimizer, 2)
    assert all((p.grad is None) == ('unused' in name) for name, p in model.named_parameters())


def test_zero_gradients_move_nothing():
    model = network()
    optimizer = BatchedMuon(model.parameters())
    for _ in range(2):
        for parameter in model.parameters():
            parameter.grad = torch.zeros_like(parameter)
        optimizer.step()
    assert all(torch.equal(*pair) for pair in zip(model.parameters(), network().parameters(), strict=True))
