import math
import re

import pytest
import torch
from timm.optim import Muon
from torch import nn

from mbv3zoo.config.training import TrainConfig
from mbv3zoo.create import create_detector
from mbv3zoo.training.optimizer import create_optimizer, create_schedule, unscaled_lr

LR = 0.01


@pytest.fixture(scope='module')
def detector():
    return create_detector('mbv3_yolo_small_050', num_classes=2, image_size=64)


@pytest.mark.parametrize('name', ['nmuon', 'adamw', 'sgd'])
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
    muon = create_optimizer(detector, TrainConfig(optimizer='nmuon', lr=LR, momentum=0.8))
    assert isinstance(muon, Muon)
    assert {(g['lr'], g['momentum'], g['nesterov']) for g in muon.param_groups} == {(LR, 0.8, True)}


def test_muon_turns_matrices_into_rotations_and_leaves_depthwise_weights_to_nadamw():
    """A step of Muon has singular values that are all alike, whatever those of the gradient were."""
    torch.manual_seed(0)
    model = nn.ModuleDict({'dense': nn.Conv2d(24, 16, 1, bias=False), 'depthwise': nn.Conv2d(16, 16, 3, groups=16)})
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    optimizer = create_optimizer(model, TrainConfig(optimizer='nmuon', lr=LR, weight_decay=0))
    gradients = {name: torch.randn_like(p) for name, p in model.named_parameters()}
    gradients['dense.weight'][0] *= 100
    for name, parameter in model.named_parameters():
        parameter.grad = gradients[name].clone()
    optimizer.step()
    moved = {name: before[name] - p.detach() for name, p in model.named_parameters()}
    values = torch.linalg.svdvals(moved['dense.weight'].flatten(1))
    assert values.max() < 2 * values.min()
    given = torch.linalg.svdvals(gradients['dense.weight'].flatten(1))
    assert given.max() > 50 * given.min()
    # NAdamW's first step: of one size for every weight, against its gradient.
    step = moved['depthwise.weight'] / gradients['depthwise.weight'].sign()
    torch.testing.assert_close(step, torch.full_like(step, step.mean().item()), rtol=1e-3, atol=0)
    assert step.mean() > 0


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


def resnet18_layer(name):
    """Number of a parameter's layer: the stem is 0, eight blocks follow, then neck and head."""
    if not name.startswith('backbone.model.'):
        return 9
    block = re.match(r'backbone\.model\.layer(\d)\.(\d)\.', name)
    return 1 + 2 * (int(block[1]) - 1) + int(block[2]) if block else 0


def vit_layer(name):
    """Likewise: patches, tokens and positions are 0, six blocks follow, then the pyramid, neck and head."""
    if not name.startswith('backbone.model.'):
        return 7
    block = re.match(r'backbone\.model\.model\.blocks\.(\d+)\.', name)
    return 1 + int(block[1]) if block else 0


@pytest.mark.parametrize(
    ('backbone', 'layer', 'layers'), [('resnet18', resnet18_layer, 10), ('test_vit', vit_layer, 8)]
)
@pytest.mark.parametrize(('lr_backbone', 'layer_decay'), [(1, 1), (0.1, 1), (1, 0.8), (0.3, 0.65), (2, 0.01)])
def test_each_parameter_learns_at_its_rate(backbone, layer, layers, lr_backbone, layer_decay):
    """Steps that are the rate itself: plain gradient descent from 0 on gradients of 1."""
    detector = create_detector(backbone, num_classes=2, image_size=64)
    settings = {'epochs': 4, 'warmup_epochs': 1, 'schedule': 'linear', 'lr_end': 0.1}
    config = TrainConfig(
        optimizer='momentum', momentum=0, weight_decay=0, lr=LR, lr_backbone=lr_backbone, layer_decay=layer_decay,
        **settings,
    )  # fmt: skip
    optimizer = create_optimizer(detector, config)
    schedule = create_schedule(optimizer, config, 5)
    named = dict(detector.named_parameters())
    assert sorted(id(p) for group in optimizer.param_groups for p in group['params']) == sorted(map(id, named.values()))
    assert {layer(name) for name in named} == set(range(layers))
    course = rates(4, 5, **{k: v for k, v in settings.items() if k != 'epochs'})
    for step in (0, 3, 5, 12, 20):
        schedule.step_update(step)
        with torch.no_grad():
            for parameter in named.values():
                parameter.zero_()
                parameter.grad = torch.ones_like(parameter)
        optimizer.step()
        assert unscaled_lr(optimizer) == pytest.approx(course[step], rel=1e-9)
        for name, parameter in named.items():
            share = lr_backbone if name.startswith('backbone.model.') else 1
            expected = course[step] * share * layer_decay ** (layers - 1 - layer(name))
            torch.testing.assert_close(parameter, torch.full_like(parameter, -expected), rtol=1e-5, atol=0, msg=name)


@pytest.mark.parametrize('settings', [{}, {'lr_backbone': 0.1}, {'layer_decay': 0.8}])
def test_what_does_not_decay_is_the_same_in_all_groupings(settings):
    detector = create_detector('test_vit', num_classes=2, image_size=64)
    optimizer = create_optimizer(detector, TrainConfig(weight_decay=0.03, **settings))
    decays = {id(p): group['weight_decay'] for group in optimizer.param_groups for p in group['params']}
    for name, parameter in detector.named_parameters():
        free = parameter.ndim <= 1 or name.endswith(('cls_token', 'pos_embed'))
        assert decays[id(parameter)] == (0 if free else 0.03), name
    assert sum(name.endswith(('cls_token', 'pos_embed')) for name, _ in detector.named_parameters()) == 2


def test_the_defaults_make_two_groups_without_shares(detector):
    groups = create_optimizer(detector, TrainConfig()).param_groups
    assert len(groups) == 2 and not any('lr_scale' in group for group in groups)


def test_shares_too_small_to_divide_by():
    detector = create_detector('resnet18', num_classes=2, image_size=64)
    config = TrainConfig(lr=LR, layer_decay=1e-60, warmup_epochs=0)
    optimizer = create_optimizer(detector, config)
    create_schedule(optimizer, config, 5)
    assert min(group['lr_scale'] for group in optimizer.param_groups) == 0
    assert unscaled_lr(optimizer) == pytest.approx(LR)


@pytest.mark.parametrize('settings', [{}, {'lr_backbone': 0.1}, {'lr_backbone': 0.1, 'layer_decay': 0.8}])
def test_frozen_parameters_are_in_no_group(settings):
    detector = create_detector('resnet18', num_classes=2, image_size=64, freeze_backbone=2)
    optimizer = create_optimizer(detector, TrainConfig(**settings))
    found = {id(p) for group in optimizer.param_groups for p in group['params']}
    learning = {id(p) for name, p in detector.named_parameters() if resnet18_layer(name) > 4}
    assert found == learning


def test_a_module_that_is_no_detector():
    optimizer = create_optimizer(nn.Linear(2, 2), TrainConfig(lr=LR, lr_backbone=0.1))
    assert sorted(group['weight_decay'] for group in optimizer.param_groups) == [0, TrainConfig().weight_decay]
    assert {group['lr'] * group['lr_scale'] for group in optimizer.param_groups} == {LR}
