"""The cost of a forward pass."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode


def count_operations(model: nn.Module, image_size: tuple[int, int], in_chans: int = 3) -> int:
    """Floating point operations for one image in evaluation; a multiply-add counts as two.

    Args:
        model: A model on the meta device; it is left frozen and in eval mode.
        image_size: (height, width) in pixels.
        in_chans: Channels of the image.
    """
    return count_of(model, torch.empty(1, in_chans, *image_size, device='meta', dtype=next(model.parameters()).dtype))


def count_of(module: nn.Module, inputs: Any) -> int:
    """As `count_operations`, for a module called with any inputs on the meta device."""
    # The counter expects gradient functions if parameters require gradients, and without autograd there are none.
    module.requires_grad_(False).eval()
    counter = FlopCounterMode(display=False)
    with counter, torch.no_grad():
        module(inputs)
    return counter.get_total_flops()
