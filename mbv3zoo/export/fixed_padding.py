"""TensorFlow's SAME padding as a constant, for graphs that take images of any size."""

from __future__ import annotations

import torch
from timm.layers import Conv2dSame, to_2tuple
from timm.layers.padding import pad_same_arg
from torch import nn
from torch.nn.functional import pad


class PaddedConv2d(nn.Conv2d):
    """A convolution with zero padding that may differ between the four sides.

    Args:
        conv: The convolution whose weights it shares.
        sides: Padding in cells: left, right, top, bottom.
    """

    def __init__(self, conv: nn.Conv2d, sides: list[int]) -> None:
        super().__init__(
            conv.in_channels,
            conv.out_channels,
            to_2tuple(conv.kernel_size),
            to_2tuple(conv.stride),
            0,
            to_2tuple(conv.dilation),
            conv.groups,
            device='meta',
        )
        self.weight, self.bias, self.sides = conv.weight, conv.bias, sides

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(pad(x, self.sides))


def fix_same_padding(model: nn.Module, smallest: torch.Tensor) -> None:
    """Replaces timm's convolutions with SAME padding, in place, where the padding is the same at all sizes.

    They compute it from the size of their input, which depends on the padding of the layers before; torch.export needs
    minutes to resolve that. Where the stride divides the map's sides, the padding does not depend on the size.

    Args:
        model: The model.
        smallest: An image [1, C, H, W] of the smallest size that it takes; the sides of all others are whole multiples
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
        seen = sizes.get(module, ()) if isinstance(module, Conv2dSame) else ()
        if seen and all(_divides(module.stride, size) for size in seen):
            layer = (module.kernel_size, module.stride, module.dilation)
            sides = pad_same_arg(list(seen[0]), *map(list, layer))
            model.set_submodule(name, PaddedConv2d(module, sides))


def _divides(stride: tuple[int, ...], size: torch.Size) -> bool:
    return all(side % step == 0 for side, step in zip(size, stride, strict=True))
