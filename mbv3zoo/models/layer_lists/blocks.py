"""The blocks that rows of a layer list may name, and `register_block` to add one."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Literal, NamedTuple

import torch
from timm.layers import get_attn
from torch import nn

from mbv3zoo.config.scaling import scale_depth, scale_width
from mbv3zoo.models.layer_lists.ghost import C3Ghost, GhostBottleneck, GhostConv
from mbv3zoo.models.layers import C3, SPP, SPPF, Bottleneck, conv, depthwise_conv
from mbv3zoo.utils.text import nearest

Channels = Literal['none', 'in', 'in_out']


class BlockType(NamedTuple):
    """How a row becomes a module.

    Attributes:
        build: The class, or a function that returns the module.
        channels: The arguments before the row's own: 'in_out' the input channels and, scaled by the width multiple, the
            row's first argument; 'in' the input channels; 'none' neither.
        depth: Whether the row's number of repeats, scaled by the depth multiple, is an argument (after the channels);
            else the block is repeated that many times.
        many: Whether it takes a list of feature maps, and the list of their channels; else a single feature map.
    """

    build: Callable[..., nn.Module]
    channels: Channels = 'in_out'
    depth: bool = False
    many: bool = False


class Concat(nn.Module):
    """Concatenation; a list of [B, C_i, H, W] -> [B, sum of C_i, H, W]."""

    def __init__(self, dim: int = 1) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, maps: Sequence[torch.Tensor]) -> torch.Tensor:
        return torch.cat(list(maps), self.dim)


def _attention(name: str, in_channels: int, *args: Any) -> nn.Module:
    """One of timm's attention blocks, which keep the channels: arguments [], [channels] or [channels, reduction]."""
    if len(args) > 2:
        raise TypeError(f'expected at most 2 arguments (channels, reduction), given {len(args)}')
    return get_attn(name)(in_channels, **({'rd_ratio': 1 / args[1]} if len(args) == 2 else {}))


_BUILT_IN: dict[str, BlockType] = {
    'Conv': BlockType(conv),
    'DWConv': BlockType(depthwise_conv),
    'GhostConv': BlockType(GhostConv),
    'Bottleneck': BlockType(Bottleneck),
    'GhostBottleneck': BlockType(GhostBottleneck),
    'C3': BlockType(C3, depth=True),
    'C3Ghost': BlockType(C3Ghost, depth=True),
    'SPP': BlockType(SPP),
    'SPPF': BlockType(SPPF),
    'Concat': BlockType(Concat, 'none', many=True),
    # timm's attention blocks.
    'SE': BlockType(partial(_attention, 'se'), 'in'),
    'ECA': BlockType(partial(_attention, 'eca'), 'in'),
    'CBAM': BlockType(partial(_attention, 'cbam'), 'in'),
    'CoordAtt': BlockType(partial(_attention, 'coord'), 'in'),
    # torch's own.
    'nn.Upsample': BlockType(nn.Upsample, 'none'),
    'nn.MaxPool2d': BlockType(nn.MaxPool2d, 'none'),
    'nn.AvgPool2d': BlockType(nn.AvgPool2d, 'none'),
    'nn.ZeroPad2d': BlockType(nn.ZeroPad2d, 'none'),
    'nn.Identity': BlockType(nn.Identity, 'none'),
    'nn.BatchNorm2d': BlockType(nn.BatchNorm2d, 'in'),
    'nn.ConvTranspose2d': BlockType(nn.ConvTranspose2d),
}
_ALIASES = {'Upsample': 'nn.Upsample', 'SEModule': 'SE', 'ECAModule': 'ECA', 'CoordAttn': 'CoordAtt'}
_registered: dict[str, BlockType] = {}


def register_block(
    name: str,
    block: Callable[..., nn.Module],
    *,
    channels: Channels = 'in_out',
    depth: bool = False,
    many: bool = False,
) -> None:
    """Registers a block, so that YOLOv5 layer lists may name it.

    A row `[-1, 1, MyBlock, [256, 3]]` then becomes `MyBlock(in_channels, 256 * width_multiple, 3)`. Register it before
    the file is read, and before a detector with such rows is loaded. Its output shape is found by running it on the
    meta device; a block that takes an argument `act` gets the detector's activation.

    Args:
        name: Its name in rows. Registering a name again replaces the block.
        block: A module class, or a function that returns a module.
        channels: The arguments before the row's own: 'in_out' the input channels and the scaled first argument, 'in'
            the input channels, 'none' neither.
        depth: Pass the row's scaled number of repeats after the channels, as for C3, instead of repeating the block.
        many: The block takes a list of feature maps, and the input channels are a list.

    Raises:
        ValueError: A built-in block has that name, or `channels` is none of the three.

    Example:
        >>> import torch
        >>> mbv3zoo.register_block('Gate', torch.nn.Sigmoid, channels='none')  # for rows [-1, 1, Gate, []]
    """
    if is_built_in(name) or name in ('Detect', 'Segment'):
        raise ValueError(f'cannot register a block as {name!r}: it is one of the table. Choose another name.')
    if not isinstance(name, str) or not callable(block):
        raise ValueError(
            f'cannot register the block {name!r}: expected a name and a class or function, given {block!r}'
        )
    if channels not in ('none', 'in', 'in_out'):
        raise ValueError(
            f"cannot register the block {name!r}: channels is {channels!r}, expected 'none', 'in', 'in_out'"
        )
    _registered[name] = BlockType(block, channels, depth, many)


def block_names() -> list[str]:
    """Names of all blocks, registered ones included."""
    return sorted({*_BUILT_IN, *_ALIASES, *_registered})


def is_built_in(name: str) -> bool:
    """Whether a block is built in, not registered."""
    return name in _BUILT_IN or name in _ALIASES


def find_block(name: str) -> BlockType:
    """The block of that name.

    Raises:
        ValueError: There is none; the closest names are listed.
    """
    found = _registered.get(name) or _BUILT_IN.get(_ALIASES.get(name, name))
    if found is None:
        hint = nearest(name, block_names(), f'the table has {", ".join(block_names())}.')
        raise ValueError(f'unknown block {name!r}; {hint} A block of your own is added with mbv3zoo.register_block.')
    return found


def build_block(
    block: BlockType,
    in_channels: int | list[int],
    repeats: int,
    args: Sequence[Any],
    depth_multiple: float,
    width_multiple: float,
    act: str,
) -> nn.Module:
    """The module of a row.

    Args:
        block: Its entry in the table.
        in_channels: Channels of its input, a list if it takes many.
        repeats, args: As in the row.
        depth_multiple, width_multiple: Compound scaling.
        act: The detector's activation.

    Raises:
        TypeError, ValueError, or whatever the block raises: The arguments do not fit.
    """
    args = list(args)
    before: list[Any] = [] if block.channels == 'none' else [in_channels]
    if block.channels == 'in_out':
        if not args or not isinstance(args[0], int) or isinstance(args[0], bool) or args[0] < 1:
            raise TypeError(f'the first argument is the number of output channels, given {args[:1] or "none"}')
        before.append(scale_width(args.pop(0), width_multiple))
    number = scale_depth(repeats, depth_multiple)
    if block.depth:
        before.append(number)
        number = 1
    kwargs = {'act': act} if _takes_act(block.build) else {}
    built = [block.build(*before, *args, **kwargs) for _ in range(number)]
    if not all(isinstance(module, nn.Module) for module in built):
        raise TypeError(f'it gives a {type(built[0]).__name__}, expected a torch.nn.Module')
    return built[0] if number == 1 else nn.Sequential(*built)


def _takes_act(build: Callable[..., nn.Module]) -> bool:
    try:
        return 'act' in inspect.signature(build).parameters
    except (TypeError, ValueError):  # some built-in callables have no signature
        return False
