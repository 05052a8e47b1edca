"""Frozen parts of a backbone: parameters that do not learn, in layers that stay in evaluation mode."""

from __future__ import annotations

from collections.abc import Iterable

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm


def freeze(parameters: Iterable[nn.Parameter]) -> None:
    """Stops parameters from learning."""
    for parameter in parameters:
        parameter.requires_grad_(False)


def batch_norms(model: nn.Module) -> list[_BatchNorm]:
    """Every BatchNorm of a model."""
    return [module for module in model.modules() if isinstance(module, _BatchNorm)]


def keep_frozen_in_evaluation(module: nn.Module) -> None:
    """Puts every part that has parameters, all of them frozen, in evaluation mode.

    A frozen BatchNorm keeps its statistics then, and a frozen block drops nothing: what is frozen computes the same in
    training as in evaluation.
    """
    parameters = list(module.parameters())
    if parameters and not any(p.requires_grad for p in parameters):
        # Not by eval(), which a module may override to come back here.
        for part in module.modules():
            part.training = False
        return
    for child in module.children():
        keep_frozen_in_evaluation(child)
