"""Optimizer and learning rate schedule, from timm."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from timm.optim import (
    create_optimizer_v2,
    get_optimizer_info,
    list_optimizers,
    param_groups_layer_decay,
    param_groups_weight_decay,
)
from timm.scheduler import CosineLRScheduler, PolyLRScheduler
from timm.scheduler.scheduler import Scheduler
from torch import nn
from torch.optim import Optimizer

from mbv3zoo.config.training import TrainConfig
from mbv3zoo.training.muon import BatchedMuon
from mbv3zoo.utils.quiet import without_messages
from mbv3zoo.utils.text import nearest

# timm's names for Muon -> whether the momentum is Nesterov's.
_MUONS = {'muon': False, 'nmuon': True}


def create_optimizer(model: nn.Module, config: TrainConfig, beside: nn.Module | None = None) -> Optimizer:
    """Creates an optimizer of timm.optim by name.

    Parameters of one dimension (norms, biases) and those that the model's `no_weight_decay()` names have no weight
    decay; frozen ones are left out.

    Args:
        model: The model to train. `lr_backbone` and `layer_decay` need a detector, as they read the names of its
            backbone's parameters and its `group_matcher`.
        config: How to train.
        beside: What is trained with it, at the rate `lr`; its parameters come last.

    Returns:
        The optimizer. Parameter groups with a learning rate of their own have it as `lr_scale`, a factor on that of the
        schedule (`create_schedule`).

    Raises:
        ValueError: timm has no optimizer of this name.
    """
    # timm passes `momentum` only to optimizers that have one; Adam and its variants have betas instead.
    check_optimizer(config.optimizer)
    num_betas = get_optimizer_info(config.optimizer.removeprefix('lookahead_')).num_betas
    betas: dict[str, Any] = {'betas': (config.momentum, 0.999)} if num_betas == 2 else {}
    groups = _parameter_groups(model, config)
    if beside and any(True for _ in beside.parameters()):
        groups += param_groups_weight_decay(beside, config.weight_decay)
    name = config.optimizer.lower()
    if name in _MUONS:
        return BatchedMuon(
            groups,
            lr=config.lr, momentum=config.momentum, nesterov=_MUONS[name], **betas,
        )  # fmt: skip
    return create_optimizer_v2(groups, config.optimizer, lr=config.lr, momentum=config.momentum, **betas)


def check_optimizer(name: str) -> None:
    """Raises ValueError if timm has no optimizer of a name."""
    try:
        get_optimizer_info(name.removeprefix('lookahead_'))
    except ValueError as error:
        hint = nearest(name, map(str, list_optimizers()), 'expected one of timm.optim.list_optimizers()')
        raise ValueError(f'optimizer: {name!r} is unknown to timm; {hint}') from error


def create_schedule(optimizer: Optimizer, config: TrainConfig, steps_per_epoch: int) -> Scheduler:
    """Linear warm-up, then cosine or linear decay to `lr * lr_end`; call `step_update` once per optimizer step."""
    steps = config.epochs * steps_per_epoch
    # Where the number of epochs follows from the time, nobody has chosen a warm-up for it.
    warmup = min(round(config.warmup_epochs * steps_per_epoch), steps // 10 if config.minutes else steps - 1)
    shared: dict[str, Any] = {
        't_initial': steps - warmup,
        'lr_min': config.lr * config.lr_end,
        'warmup_t': warmup,
        'warmup_lr_init': config.lr / 100,
        'warmup_prefix': True,
        't_in_epochs': False,
        'cycle_limit': 1,
    }
    if config.schedule == 'linear':
        return PolyLRScheduler(optimizer, power=1.0, **shared)
    # A schedule of one step has none but the first rate.
    with without_messages('timm.scheduler.cosine_lr', 'Cosine annealing scheduler will have no effect'):
        return CosineLRScheduler(optimizer, **shared)


def unscaled_lr(optimizer: Optimizer) -> float:
    """The learning rate that the groups' `lr_scale` are factors on."""
    # From the group of the largest factor: those of the first layers may be too small to divide by.
    group = max(optimizer.param_groups, key=lambda group: group.get('lr_scale', 1.0))
    return group['lr'] / group.get('lr_scale', 1.0)


def _parameter_groups(model: nn.Module, config: TrainConfig) -> list[dict[str, Any]]:
    no_decay: Collection[str] = getattr(model, 'no_weight_decay', tuple)()
    if config.layer_decay == 1:
        groups = param_groups_weight_decay(model, config.weight_decay, no_weight_decay_list=no_decay)
    else:
        groups = param_groups_layer_decay(
            model, config.weight_decay, no_weight_decay_list=no_decay, layer_decay=config.layer_decay
        )
    return groups if config.lr_backbone == 1 else _scale_backbone(model, groups, config.lr_backbone)


def _scale_backbone(model: nn.Module, groups: list[dict[str, Any]], share: float) -> list[dict[str, Any]]:
    """Splits each group into the backbone's parameters, whose learning rate is scaled, and the others."""
    backbone = {id(p) for name, p in model.named_parameters() if name.startswith('backbone.model.')}
    split = []
    for group in groups:
        scale = group.get('lr_scale', 1.0)
        for is_backbone, lr_scale in ((True, scale * share), (False, scale)):
            params = [p for p in group['params'] if (id(p) in backbone) == is_backbone]
            if params:
                split.append(group | {'params': params, 'lr_scale': lr_scale})
    return split
