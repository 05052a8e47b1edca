"""What a forward pass costs."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode


def count_operations(model: nn.Module, image_size: tuple[int, int], in_chans: int = 3) -> int:
    """Floating point operations of one picture in evaluation; a multiply-add counts as two.

    Args:
        model: A model on the meta device, built to be counted: it is left frozen and in evaluation mode.
        image_size: (height, width) in pixels.
        in_chans: Channels of the picture.
    """
    return count_of(model, torch.empty(1, in_chans, *image_size, device='meta', dtype=next(model.parameters()).dtype))


def count_of(module: nn.Module, inputs: Any) -> int:
    """As `count_operations`, of a module called with any inputs on the meta device."""
    # The counter looks for gradient functions where parameters ask for gradients, and there are none without autograd.
    module.requires_grad_(False).eval()
    counter = FlopCounterMode(display=False)
    with counter, torch.no_grad():
        module(inputs)
    return counter.get_total_flops()
