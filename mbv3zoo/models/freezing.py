"""Freezing parts of a backbone: parameters without gradient, in layers that stay in eval mode."""

from __future__ import annotations

from collections.abc import Iterable

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm


def freeze(parameters: Iterable[nn.Parameter]) -> None:
    """Sets `requires_grad` to False."""
    for parameter in parameters:
        parameter.requires_grad_(False)


def batch_norms(model: nn.Module) -> list[_BatchNorm]:
    """Every BatchNorm of a model."""
    return [module for module in model.modules() if isinstance(module, _BatchNorm)]


def keep_frozen_in_evaluation(module: nn.Module) -> None:
    """Puts every submodule whose parameters are all frozen in eval mode.

    A frozen BatchNorm then keeps its statistics, and a frozen block applies no dropout: it computes the same in
    training as in evaluation.
    """
    parameters = list(module.parameters())
    if parameters and not any(p.requires_grad for p in parameters):
        # Not by eval(), which calls train(), which a module may override to call this function.
        for part in module.modules():
            part.training = False
        return
    for child in module.children():
        keep_frozen_in_evaluation(child)
