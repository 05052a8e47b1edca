"""BatchNorm over all processes: several processes learn the same as one with the whole batch."""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from timm.layers import BatchNormAct2d, convert_sync_batchnorm
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm


def synchronise_norms(model: nn.Module, device: torch.device) -> nn.Module:
    """Makes every BatchNorm compute its statistics over all processes. Names and weights do not change.

    On GPUs these are torch's SyncBatchNorm (with timm's activations kept), which does not run on CPUs.
    """
    if device.type == 'cuda':
        return convert_sync_batchnorm(model)
    for module in model.modules():
        module.__class__ = _SYNCHRONISED.get(type(module), type(module))
    return model


class _AllReduce(torch.autograd.Function):
    """Sum over all processes, of values and of their gradients."""

    @staticmethod
    def forward(ctx: Any, values: torch.Tensor) -> torch.Tensor:
        total = values.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> torch.Tensor:
        total = gradient.contiguous().clone()
        dist.all_reduce(total)
        return total


def _normalise(norm: _BatchNorm, x: torch.Tensor) -> torch.Tensor:
    """As `torch.nn.functional.batch_norm` on the joined batches of all processes, running statistics included."""
    # The number of pixels may exceed what float16 can count.
    values = x.to(torch.promote_types(x.dtype, torch.float32))
    others = [dim for dim in range(x.dim()) if dim != 1]
    shape = [1, -1] + [1] * (x.dim() - 2)
    sums = torch.cat([values.sum(others), values.new_tensor([x.numel() / x.shape[1]])])
    sums = _AllReduce.apply(sums)
    count = sums[-1]
    mean = sums[:-1] / count
    centred = values - mean.view(shape)
    # Not from the sum of squares: for a large mean the difference of two large numbers is mostly rounding error.
    variance = _AllReduce.apply(centred.square().sum(others)) / count
    if norm.track_running_stats:
        _follow(norm, mean, variance * count / (count - 1).clamp(min=1))
    normalised = centred * torch.rsqrt(variance + norm.eps).view(shape)
    if norm.affine:
        normalised = normalised * norm.weight.view(shape) + norm.bias.view(shape)
    return normalised.to(x.dtype)


@torch.no_grad()
def _follow(norm: _BatchNorm, mean: torch.Tensor, variance: torch.Tensor) -> None:
    """Updates the running statistics with those of a batch, as BatchNorm does."""
    assert norm.num_batches_tracked is not None and norm.running_mean is not None and norm.running_var is not None
    norm.num_batches_tracked.add_(1)
    share = norm.momentum if norm.momentum is not None else 1.0 / float(norm.num_batches_tracked)
    norm.running_mean.lerp_(mean.to(norm.running_mean.dtype), share)
    norm.running_var.lerp_(variance.to(norm.running_var.dtype), share)


class _SyncBatchNorm1d(nn.BatchNorm1d):
    loads_as = nn.BatchNorm1d

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return _normalise(self, x) if self.training else super().forward(x)


class _SyncBatchNorm2d(nn.BatchNorm2d):
    loads_as = nn.BatchNorm2d

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return _normalise(self, x) if self.training else super().forward(x)


class _SyncBatchNormAct2d(BatchNormAct2d):
    loads_as = BatchNormAct2d

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.act(self.drop(_normalise(self, x))) if self.training else super().forward(x)


_SYNCHRONISED = {
    nn.BatchNorm1d: _SyncBatchNorm1d,
    nn.BatchNorm2d: _SyncBatchNorm2d,
    BatchNormAct2d: _SyncBatchNormAct2d,
}
