"""Folding of BatchNorm into the convolution before it, for inference."""

from __future__ import annotations

from collections import Counter
from typing import Any

import torch
from timm.layers import ScaledStdConv2d, ScaledStdConv2dSame, StdConv2d, StdConv2dSame
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.utils.fusion import fuse_conv_bn_weights
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from mbv3zoo.models.modes import evaluation_mode

# Weight-standardised convolutions compute their weight anew at each call: nothing can be folded into it.
_STANDARDISED = (StdConv2d, StdConv2dSame, ScaledStdConv2d, ScaledStdConv2dSame)


class ChannelAffine(nn.Module):
    """x * scale + shift for each channel: replaces a BatchNorm that no convolution precedes."""

    def __init__(self, norm: _BatchNorm) -> None:
        super().__init__()
        scale, shift = _scale_and_shift(norm)
        self.scale = nn.Parameter(scale, requires_grad=False)
        self.shift = nn.Parameter(shift, requires_grad=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        shape = (1, -1) + (1,) * (x.dim() - 2)
        return x * self.scale.view(shape) + self.shift.view(shape)


@torch.no_grad()
def fuse_batch_norms(model: nn.Module, example: torch.Tensor) -> None:
    """Removes every BatchNorm of `model`, in place: folded into the convolution before it, else made a `ChannelAffine`.

    Which convolution feeds which norm is recorded in a forward pass of `example`, not guessed from the order or names
    of modules, so any timm backbone can be folded. timm's norm-and-activation layers keep their activation.

    Raises:
        ValueError: A BatchNorm, or the convolution before it, has hooks or a `forward` of its own. Nothing was changed.
    """
    producers = _producers(model, example)
    for name, module in model.named_modules():
        if (isinstance(module, _BatchNorm) or module in producers.values()) and _is_changed(module):
            raise ValueError(
                f'{name} ({type(module).__name__}) has hooks or a forward of its own, which folding BatchNorms would '
                'lose; remove them first'
            )
    replacements: dict[_BatchNorm, nn.Module] = {}
    # One norm may be registered under several names.
    for name, norm in list(model.named_modules(remove_duplicate=False)):
        if isinstance(norm, _BatchNorm):
            if norm not in replacements:
                replacements[norm] = _replacement(norm, producers.get(norm))
            model.set_submodule(name, replacements[norm])


def first_convolution(model: nn.Module, example: torch.Tensor) -> nn.Conv2d | None:
    """The ungrouped convolution that is the only user of a model's input; None if there is none.

    Args:
        model: The model.
        example: An input that it takes.
    """
    uses = _Uses()
    uses.watched[id(example)] = example
    takers: list[nn.Conv2d] = []

    def hook(module: nn.Conv2d, args: tuple) -> None:
        if args[0] is example:
            takers.append(module)

    handles = [m.register_forward_pre_hook(hook) for m in model.modules() if isinstance(m, nn.Conv2d)]
    try:
        with torch.no_grad(), evaluation_mode(model), uses:
            model(example)
    finally:
        for handle in handles:
            handle.remove()
    alone = len(takers) == 1 == uses.counts[id(example)]
    return takers[0] if alone and takers[0].groups == 1 and not isinstance(takers[0], _STANDARDISED) else None


def _is_changed(module: nn.Module) -> bool:
    return bool(module._forward_hooks or module._forward_pre_hooks or 'forward' in vars(module))


def _replacement(norm: _BatchNorm, conv: nn.Conv2d | None) -> nn.Module:
    """What replaces a norm; its scale and shift go into `conv` if there is one."""
    if conv is None:
        affine: nn.Module = ChannelAffine(norm)
    else:
        _fold(conv, norm)
        affine = nn.Identity()
    rest = [m for m in (affine, getattr(norm, 'drop', None), getattr(norm, 'act', None)) if m is not None]
    rest = [m for m in rest if not isinstance(m, nn.Identity)]
    new = nn.Sequential(*rest) if len(rest) > 1 else rest[0] if rest else nn.Identity()
    return new.train(norm.training)


class _Uses(TorchDispatchMode):
    """Counts the operations, in-place ones included, that take each of the watched tensors."""

    def __init__(self) -> None:
        super().__init__()
        self.watched: dict[int, torch.Tensor] = {}  # keeps them alive, so that their ids stay unique
        self.counts: Counter[int] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        self.counts.update(id(value) for value in tree_leaves(args) if id(value) in self.watched)
        return func(*args, **(kwargs or {}))


def _producers(model: nn.Module, example: torch.Tensor) -> dict[_BatchNorm, nn.Conv2d]:
    """Norm -> the convolution whose output it takes, if both run once and nothing else uses that output."""
    uses = _Uses()
    sources: dict[int, nn.Conv2d] = {}
    calls: Counter[nn.Module] = Counter()
    pairs: dict[_BatchNorm, int] = {}

    def hook(module: nn.Module, args: tuple, output: torch.Tensor) -> None:
        calls[module] += 1
        if isinstance(module, nn.Conv2d):
            uses.watched[id(output)] = output
            sources[id(output)] = module
        elif isinstance(module, _BatchNorm) and id(args[0]) in sources:
            pairs[module] = id(args[0])

    handles = [m.register_forward_hook(hook) for m in model.modules() if isinstance(m, (nn.Conv2d, _BatchNorm))]
    try:
        with evaluation_mode(model), uses:
            model(example)
    finally:
        for handle in handles:
            handle.remove()
    return {
        norm: sources[key]
        for norm, key in pairs.items()
        if calls[norm] == calls[sources[key]] == uses.counts[key] == 1 and not isinstance(sources[key], _STANDARDISED)
    }


def _scale_and_shift(norm: _BatchNorm) -> tuple[torch.Tensor, torch.Tensor]:
    assert norm.running_mean is not None and norm.running_var is not None
    std = (norm.running_var.double() + norm.eps).sqrt()
    weight = norm.weight.double() if norm.weight is not None else torch.ones_like(std)
    bias = norm.bias.double() if norm.bias is not None else torch.zeros_like(std)
    scale = weight / std
    dtype = norm.running_mean.dtype
    return scale.to(dtype), (bias - norm.running_mean.double() * scale).to(dtype)


def _fold(conv: nn.Conv2d, norm: _BatchNorm) -> None:
    # In double precision, so that the result is rounded once.
    assert norm.running_mean is not None and norm.running_var is not None
    weight, bias = fuse_conv_bn_weights(
        conv.weight.double(),
        _double(conv.bias),
        norm.running_mean.double(),
        norm.running_var.double(),
        norm.eps,
        _double(norm.weight),
        _double(norm.bias),
    )
    dtype, trainable = conv.weight.dtype, conv.weight.requires_grad
    conv.weight = nn.Parameter(weight.to(dtype), trainable)
    conv.bias = nn.Parameter(bias.to(dtype), trainable)


def _double(tensor: torch.Tensor | None) -> torch.Tensor | None:
    return None if tensor is None else tensor.double()
