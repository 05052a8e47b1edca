"""timm's Muon, with the matrices of a network orthogonalised together."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from timm.optim import Muon
from timm.optim.muon import get_lr_scale, resolve_ns_coefficients, zeropower_via_newtonschulz

from mbv3zoo.models.dtypes import computes_bfloat16

# timm's default, by its name there: the polynomials of the five iterations (Franz Cesista,
# https://leloykun.github.io/ponder/muon-opt-coeffs).
_COEFFICIENTS = {
    'quintic': [
        (4.0848, -6.8946, 2.9270),
        (3.9505, -6.3029, 2.6377),
        (3.7418, -5.5913, 2.3037),
        (2.8769, -3.1427, 1.2046),
        (2.8366, -3.0525, 1.2012),
    ]
}
# Matrices whose sides round up to the same multiples are one batch. A finer step makes more batches, a coarser one more
# to compute.
_ROWS, _COLUMNS = 32, 64


class BatchedMuon(Muon):
    """Muon (Jordan et al., "Muon", https://kellerjordan.github.io/posts/muon), as timm's with its defaults, but faster.

    timm turns one matrix after the other into the nearest orthogonal one, by fifteen small products each. A detector
    has about seventy, and most of the time goes into the calls. Here matrices of about one size are a batch. Results
    are timm's up to the rounding of bfloat16, and so is the state. They are computed in it, or in float32 on a device
    that is slow in it.

    Args:
        params: Parameters or groups of them, as for `timm.optim.Muon`.
        lr, weight_decay, momentum, nesterov, betas: As of `timm.optim.Muon`.

    Example:
        >>> import torch
        >>> model = torch.nn.Conv2d(8, 16, 3)
        >>> optimizer = BatchedMuon(model.parameters(), lr=0.02)
        >>> model(torch.rand(1, 8, 4, 4)).sum().backward()
        >>> optimizer.step()
    """

    def __init__(
        self,
        params: Iterable[torch.Tensor] | Iterable[dict[str, Any]],
        lr: float = 0.02,
        weight_decay: float = 0,
        momentum: float = 0.95,
        nesterov: bool = False,
        betas: tuple[float, float] = (0.9, 0.95),
    ) -> None:
        super().__init__(params, lr, weight_decay, momentum, nesterov, betas=betas)

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """As of `timm.optim.Muon`."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        matrices = [parameter for group in self.param_groups for parameter in self._step_matrices(group)]
        # timm's does the others; in the first step all, as it decides there which are matrices.
        with _hidden_gradients(matrices):
            super().step()
        return loss

    def _step_matrices(self, group: dict[str, Any]) -> list[torch.Tensor]:
        """Updates those parameters of a group that are known to be matrices, and returns them."""
        matrices = [p for p in group['params'] if p.grad is not None and self.state[p].get('use_muon')]
        if not matrices:
            return []
        gradients = [p.grad for p in matrices]
        momenta = [self.state[p]['momentum_buffer'] for p in matrices]
        torch._foreach_mul_(matrices, 1 - group['lr'] * group['weight_decay'])
        torch._foreach_lerp_(momenta, gradients, 1 - group['momentum'])
        updates = torch._foreach_lerp(gradients, momenta, group['momentum']) if group['nesterov'] else momenta
        for parameter, rotation in zip(matrices, _orthogonal(updates, group), strict=True):
            scale = get_lr_scale(rotation.shape, group['adjust_lr_fn'])
            parameter.add_(rotation.reshape(parameter.shape), alpha=-group['lr'] * scale)
        return matrices


@contextmanager
def _hidden_gradients(parameters: Sequence[torch.Tensor]) -> Iterator[None]:
    """Context manager: parameters have no gradients in it."""
    gradients = [parameter.grad for parameter in parameters]
    for parameter in parameters:
        parameter.grad = None
    try:
        yield
    finally:
        for parameter, gradient in zip(parameters, gradients, strict=True):
            parameter.grad = gradient


def _orthogonal(updates: Sequence[torch.Tensor], group: dict[str, Any]) -> list[torch.Tensor]:
    """For each update [out, in, ...] the nearest orthogonal matrix [out, in * ...], in bfloat16 or float32."""
    flat = [update.flatten(1) for update in updates]
    wide = [matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T for matrix in flat]
    batches: dict[tuple[int, int], list[int]] = defaultdict(list)
    for index, matrix in enumerate(wide):
        rows, columns = matrix.shape
        batches[math.ceil(rows / _ROWS) * _ROWS, math.ceil(columns / _COLUMNS) * _COLUMNS].append(index)
    coefficients = resolve_ns_coefficients(group['ns_coefficients'], _COEFFICIENTS)
    dtype = torch.bfloat16 if computes_bfloat16(flat[0].device) else torch.float32
    found = list(flat)
    for shape, indices in batches.items():
        # Zeros that fill a matrix up stay zeros, and change nothing else of it.
        batch = flat[0].new_zeros(len(indices), *shape)
        for place, index in zip(batch, indices, strict=True):
            place[: wide[index].shape[0], : wide[index].shape[1]] = wide[index]
        rotations = zeropower_via_newtonschulz(
            batch,
            group['ns_steps'],
            coefficients,
            eps=group['eps'],
            safety_factor=group['safety_factor'],
            dtype=dtype,
        )
        for rotation, index in zip(rotations, indices, strict=True):
            rows, columns = wide[index].shape
            part = rotation[:rows, :columns]
            found[index] = part if wide[index] is flat[index] else part.T
    return found
