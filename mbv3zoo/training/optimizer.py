"""Optimizer and learning rate schedule, from timm."""

from __future__ import annotations

from timm.optim import create_optimizer_v2, get_optimizer_info
from timm.scheduler import CosineLRScheduler, PolyLRScheduler
from timm.scheduler.scheduler import Scheduler
from torch import nn
from torch.optim import Optimizer

from mbv3zoo.config import TrainConfig


def create_optimizer(model: nn.Module, config: TrainConfig) -> Optimizer:
    """An optimizer of timm.optim by name; no weight decay on norms and biases.

    Raises:
        ValueError: timm has no optimizer of this name.
    """
    # timm hands `momentum` to those optimizers only that have one, and Adam's kin have betas instead.
    num_betas = get_optimizer_info(config.optimizer.removeprefix('lookahead_')).num_betas
    betas = {'betas': (config.momentum, 0.999)} if num_betas == 2 else {}
    return create_optimizer_v2(
        model, config.optimizer, lr=config.lr, momentum=config.momentum, weight_decay=config.weight_decay, **betas
    )


def create_schedule(optimizer: Optimizer, config: TrainConfig, steps_per_epoch: int) -> Scheduler:
    """Linear warm-up, then cosine or linear decay to `lr * lr_end`, stepped once an update (`step_update`)."""
    steps = config.epochs * steps_per_epoch
    warmup = min(round(config.warmup_epochs * steps_per_epoch), steps - 1)
    shared = {
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
    return CosineLRScheduler(optimizer, **shared)
