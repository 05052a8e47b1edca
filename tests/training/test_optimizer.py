import math

import pytest
import torch
from torch import nn

from mbv3zoo.config import TrainConfig
from mbv3zoo.detector import create_detector
from mbv3zoo.training.optimizer import create_optimizer, create_schedule

LR = 0.01


@pytest.fixture(scope='module')
def detector():
    return create_detector('mbv3_yolo_small_050', num_classes=2, image_size=64)


@pytest.mark.parametrize('name', ['adamw', 'sgd'])
def test_norms_and_biases_do_not_decay(detector, name):
    optimizer = create_optimizer(detector, TrainConfig(optimizer=name, weight_decay=0.03))
    decays = {id(p): group['weight_decay'] for group in optimizer.param_groups for p in group['params']}
    assert len(decays) == len(list(detector.parameters()))
    seen = {'decays': 0, 'does not': 0}
    for module in detector.modules():
        is_norm = isinstance(module, nn.modules.batchnorm._NormBase)
        for parameter_name, parameter in module.named_parameters(recurse=False):
            free = is_norm or parameter_name == 'bias'
            assert decays[id(parameter)] == (0 if free else 0.03)
            seen['does not' if free else 'decays'] += 1
    assert seen['decays'] > 50 and seen['does not'] > 100


def test_settings_arrive(detector):
    sgd = create_optimizer(detector, TrainConfig(optimizer='sgd', lr=LR, momentum=0.8))
    assert isinstance(sgd, torch.optim.SGD)
    assert {(g['lr'], g['momentum'], g['nesterov']) for g in sgd.param_groups} == {(LR, 0.8, True)}
    adamw = create_optimizer(detector, TrainConfig(optimizer='adamw', lr=LR, momentum=0.8))
    assert isinstance(adamw, torch.optim.AdamW)
    assert {(g['lr'], g['betas']) for g in adamw.param_groups} == {(LR, (0.8, 0.999))}


def test_an_unknown_optimizer_is_refused(detector):
    with pytest.raises(ValueError, match='addamw'):
        create_optimizer(detector, TrainConfig(optimizer='addamw'))


def rates(epochs, steps_per_epoch, **settings):
    """The rate of every update, and last the one that the run ends at."""
    config = TrainConfig(epochs=epochs, lr=LR, **settings)
    optimizer = create_optimizer(nn.Linear(2, 2), config)
    schedule = create_schedule(optimizer, config, steps_per_epoch)
    found = [optimizer.param_groups[0]['lr']]
    for step in range(epochs * steps_per_epoch):
        schedule.step_update(step + 1)
        assert len({group['lr'] for group in optimizer.param_groups}) == 1
        found.append(optimizer.param_groups[0]['lr'])
    return found


@pytest.mark.parametrize('schedule', ['linear', 'cosine'])
@pytest.mark.parametrize('warmup_epochs', [0, 0.5, 1, 3])
@pytest.mark.parametrize('lr_end', [0, 0.01, 1])
def test_course_of_the_rate(schedule, warmup_epochs, lr_end):
    found = rates(10, 12, schedule=schedule, warmup_epochs=warmup_epochs, lr_end=lr_end)
    warmup = round(warmup_epochs * 12)
    for step, rate in enumerate(found):
        if step < warmup:
            expected = LR / 100 + (LR - LR / 100) * step / warmup
        else:
            share = (step - warmup) / (120 - warmup)
            fall = share if schedule == 'linear' else (1 - math.cos(math.pi * share)) / 2
            expected = LR + (LR * lr_end - LR) * fall
        assert rate == pytest.approx(expected, rel=1e-6, abs=1e-12)
    assert found[0] == pytest.approx(LR / 100 if warmup else LR)
    assert found[warmup] == pytest.approx(LR)
    assert found[-1] == pytest.approx(LR * lr_end, abs=1e-12)


@pytest.mark.parametrize('schedule', ['linear', 'cosine'])
@pytest.mark.parametrize(('epochs', 'steps', 'warmup'), [(1, 1, 1), (1, 1, 0), (1, 2, 5), (2, 1, 1), (3, 2, 100)])
def test_short_runs(schedule, epochs, steps, warmup):
    found = rates(epochs, steps, schedule=schedule, warmup_epochs=warmup)
    assert len(found) == epochs * steps + 1
    assert all(0 < rate <= LR * (1 + 1e-9) for rate in found)
    assert found[-1] == pytest.approx(LR * 0.01)


@pytest.mark.parametrize('schedule', ['linear', 'cosine'])
def test_a_schedule_that_starts_in_the_middle_is_where_it_would_be(schedule):
    config = TrainConfig(epochs=10, lr=LR, schedule=schedule)
    course = rates(10, 12, schedule=schedule)
    for step in (0, 6, 12, 36, 120):
        optimizer = create_optimizer(nn.Linear(2, 2), config)
        create_schedule(optimizer, config, 12).step_update(step)
        assert optimizer.param_groups[0]['lr'] == pytest.approx(course[step])
