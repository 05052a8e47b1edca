"""A neck from the rows of a YOLOv5 layer list."""

from __future__ import annotations

from collections.abc import Sequence

from mbv3zoo.config.layer_rows import LayerRows
from mbv3zoo.models.layer_lists.layer_graph import LayerGraph, MapShape


class LayerNeck(LayerGraph):
    """Feature maps of the backbone -> feature maps for the head.

    Args:
        rows: The rows between the backbone and the head.
        in_channels: Number of channels of the backbone's feature maps.
        in_strides: Their strides, in input pixels per cell.
        image_size: (height, width) in pixels that the rows are tried on.
        depth_multiple, width_multiple: Compound scaling.
        act: Activation function of blocks that take one, by its name in timm.layers.

    Attributes:
        strides: Strides of the feature maps that `forward` returns, in input pixels per cell, finest first.

    Raises:
        ValueError: As `LayerGraph`; or `image_size` is not a multiple of the strides, or the outputs are not ordered
            finest first.
    """

    def __init__(
        self,
        rows: LayerRows,
        in_channels: Sequence[int],
        in_strides: Sequence[int],
        image_size: tuple[int, int],
        depth_multiple: float,
        width_multiple: float,
        act: str = 'silu',
    ) -> None:
        height, width = image_size
        if len(rows.inputs) != len(in_channels):
            raise ValueError(
                f'the rows take {len(rows.inputs)} maps from outside, {list(rows.inputs)}; the backbone gives '
                f'{len(in_channels)}'
            )
        if any(side % stride for side in image_size for stride in in_strides):
            raise ValueError(f'image_size must be multiples of {max(in_strides)} with these rows, given {image_size}')
        shapes = [MapShape(c, height // s, width // s) for c, s in zip(in_channels, in_strides, strict=True)]
        super().__init__(rows, shapes, depth_multiple, width_multiple, act)
        self.strides = [self.stride(number, image_size) for number in rows.outputs]
        if self.strides != sorted(set(self.strides)):
            raise ValueError(
                f'Detect takes rows {list(rows.outputs)} of strides {self.strides}; expected each once, finest first; '
                'reorder the rows that it takes'
            )
