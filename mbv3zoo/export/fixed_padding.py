"""TensorFlow's SAME padding as a constant, for graphs that take pictures of any size."""

from __future__ import annotations

import torch
from timm.layers import Conv2dSame
from timm.layers.padding import pad_same_arg
from torch import nn
from torch.nn.functional import pad


class PaddedConv2d(nn.Conv2d):
    """A convolution behind zeros on four sides, of which there may be more on one than on the other.

    Args:
        conv: Whose weights it shares.
        sides: Cells to the left, the right, above and below.
    """

    def __init__(self, conv: nn.Conv2d, sides: list[int]) -> None:
        super().__init__(
            conv.in_channels, conv.out_channels, conv.kernel_size, conv.stride, 0, conv.dilation, conv.groups,
            device='meta',
        )  # fmt: skip
        self.weight, self.bias, self.sides = conv.weight, conv.bias, sides

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(pad(x, self.sides))


def fix_same_padding(model: nn.Module, smallest: torch.Tensor) -> None:
    """Replaces timm's convolutions with SAME padding, in place, where the padding is the same at all sizes.

    They reckon it from the size of what they take, each from what the one before left; torch.export needs minutes to
    see through that. Where the stride divides the map's sides, the size drops out.

    Args:
        model: The model.
        smallest: A picture [1, C, H, W] of the smallest size that it takes; the sides of all others are whole multiples
            of its sides.
    """
    sizes: dict[Conv2dSame, list[torch.Size]] = {}

    def hook(module: Conv2dSame, args: tuple) -> None:
        sizes.setdefault(module, []).append(args[0].shape[2:])

    handles = [m.register_forward_pre_hook(hook) for m in model.modules() if isinstance(m, Conv2dSame)]
    if not handles:
        return
    try:
        with torch.no_grad():
            model(smallest)
    finally:
        for handle in handles:
            handle.remove()
    for name, module in list(model.named_modules(remove_duplicate=False)):
        if module in sizes and all(_divides(module.stride, size) for size in sizes[module]):
            sides = pad_same_arg(sizes[module][0], module.kernel_size, module.stride, module.dilation)
            model.set_submodule(name, PaddedConv2d(module, sides))


def _divides(stride: tuple[int, int], size: torch.Size) -> bool:
    return all(side % step == 0 for side, step in zip(size, stride, strict=True))
