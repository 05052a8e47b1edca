"""timm's attention biases, computed from the present weights.

LeViT, EfficientFormer, EfficientViT (MSRA) and TinyViT keep the biases of their first image in evaluation mode until
`train()` is called. Weights that change meanwhile, as those of an average (EMA) do in training, go on with old biases.
"""

from __future__ import annotations

from typing import Any

import torch
from timm.models import efficientformer, efficientformer_v2, efficientvit_msra, levit, tiny_vit

# Private to timm.
_METHOD = 'get_attention_biases'


def _computed(self: Any, device: torch.device) -> torch.Tensor:
    """The biases [heads, queries, keys], as timm computes them in training mode."""
    return self.attention_biases[:, self.attention_bias_idxs]


def always_compute_biases() -> None:
    """Replaces the method of timm's classes that keeps them. Results differ only where timm's would be out of date."""
    for module in (efficientformer, efficientformer_v2, efficientvit_msra, levit, tiny_vit):
        for kind in vars(module).values():
            if isinstance(kind, type) and _METHOD in vars(kind):
                setattr(kind, _METHOD, _computed)
