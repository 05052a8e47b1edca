"""Rows of a YOLOv5 layer list as a module: each row takes the outputs of earlier rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import nn

from mbv3zoo.config.layer_rows import LayerRow, LayerRows
from mbv3zoo.config.scaling import scale_depth
from mbv3zoo.models.layer_lists.blocks import Concat, build_block, find_block

# Far above any real network: rows may come from an untrusted file.
_MOST_LAYERS = 512
_MOST_PARAMETERS = 2**29


class MapShape(NamedTuple):
    """Channels, height and width of a feature map."""

    channels: int
    height: int
    width: int

    def __str__(self) -> str:
        return f'{self.channels} x {self.height} x {self.width}'


class LayerGraph(nn.Module):
    """Runs rows in order.

    Every row is run on the meta device when it is built, so that an error in a file is reported with its row number
    before any image is read.

    Args:
        rows: The rows.
        shapes: Shapes of the input feature maps, in the order of `rows.inputs`.
        depth_multiple, width_multiple: Compound scaling.
        act: Activation of blocks that take one.

    Attributes:
        layers: Row number as a string -> module.
        shapes: Row number -> shape of its output; the inputs are included.
        out_channels: Channels of the feature maps that `forward` returns.

    Raises:
        ValueError: A row names an unknown block, its arguments do not fit the block, or its inputs do not fit the block
            or each other. The message gives the row, its inputs and what was expected.
    """

    def __init__(
        self,
        rows: LayerRows,
        shapes: Sequence[MapShape],
        depth_multiple: float,
        width_multiple: float,
        act: str = 'silu',
    ) -> None:
        super().__init__()
        layers = sum(scale_depth(row.repeats, depth_multiple) for row in rows.rows)
        if layers > _MOST_LAYERS:
            raise ValueError(
                f'the rows make {layers} layers with depth_multiple {depth_multiple}, expected at most {_MOST_LAYERS}'
            )
        self.rows = rows
        self.scaling = (depth_multiple, width_multiple, act)
        self.shapes: dict[int, MapShape] = dict(zip(rows.inputs, shapes, strict=True))
        self.layers = nn.ModuleDict()
        # Looked up once: a block may be registered again under the same name.
        self.many: set[int] = set()
        parameters = 0
        for number, row in enumerate(rows.rows, rows.first):
            taken = {source: self.shapes[source] for source in row.sources}
            with torch.device('meta'):
                trial = self._build(number, row, taken)
            parameters += sum(parameter.numel() for parameter in trial.parameters())
            if parameters > _MOST_PARAMETERS:
                raise ValueError(
                    f'row {number} ({row.block}, arguments {list(row.args)}) on {_listed(row, taken)} makes '
                    f'{parameters} parameters of the rows up to it, expected at most {_MOST_PARAMETERS}'
                )
            if find_block(row.block).many:
                self.many.add(number)
            self.shapes[number] = _output_shape(number, row, trial, taken, number in self.many)
            self.layers[str(number)] = self._build(number, row, taken)
        self.out_channels = [self.shapes[number].channels for number in rows.outputs]
        self.done = _done_after(rows)

    def forward(self, maps: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        """Feature maps in the order of `rows.inputs` -> those of `rows.outputs`; all [B, channels, H, W]."""
        known = dict(zip(self.rows.inputs, maps, strict=True))
        for number, row in enumerate(self.rows.rows, self.rows.first):
            known[number] = self.layers[str(number)](_take(row, known, number in self.many))
            for source in self.done[number]:
                del known[source]
        return [known[number] for number in self.rows.outputs]

    def stride(self, number: int, image_size: tuple[int, int]) -> int:
        """Stride of a row's output, in input pixels per cell.

        Args:
            number: The row.
            image_size: (height, width) in pixels of the image that `shapes` belong to.

        Raises:
            ValueError: It is not an integer, or differs between height and width.
        """
        (height, width), (_, rows, columns) = image_size, self.shapes[number]
        if height % rows or width % columns or height // rows != width // columns:
            raise ValueError(
                f'row {number} gives a map of {rows} x {columns} cells on a picture of {height} x {width} pixels; '
                'expected one whole number of pixels per cell'
            )
        return height // rows

    def _build(self, number: int, row: LayerRow, taken: Mapping[int, MapShape]) -> nn.Module:
        channels = [taken[source].channels for source in row.sources]
        try:
            block = find_block(row.block)
            if len(channels) > 1 and not block.many:
                raise ValueError(f'takes one map, given {len(channels)}: {_listed(row, taken)}')
            return build_block(block, channels if block.many else channels[0], row.repeats, row.args, *self.scaling)
        # A registered block may raise anything.
        except Exception as error:
            given = f'row {number} ({row.block}, arguments {list(row.args)})'
            raise ValueError(f'{given} cannot be built on {_listed(row, taken)}: {error}') from error


def _take(row: LayerRow, known: Mapping[int, torch.Tensor], many: bool) -> torch.Tensor | list[torch.Tensor]:
    maps = [known[source] for source in row.sources]
    return maps if many else maps[0]


def _done_after(rows: LayerRows) -> dict[int, set[int]]:
    """Row number -> the feature maps that are not needed after it, to free their memory."""
    last = {number: number for number in range(rows.first, rows.first + len(rows.rows))}
    for number, row in enumerate(rows.rows, rows.first):
        last |= dict.fromkeys(row.sources, number)
    done: dict[int, set[int]] = {number: set() for number in range(rows.first, rows.first + len(rows.rows))}
    for source, number in last.items():
        if source not in rows.outputs:
            done[number].add(source)
    return done


def _output_shape(number: int, row: LayerRow, layer: nn.Module, taken: Mapping[int, MapShape], many: bool) -> MapShape:
    """Shape of a row's output, found by running it on the meta device."""
    if isinstance(layer, Concat):
        _check_concat(number, row, taken)
    maps = {source: torch.empty(1, *shape, device='meta') for source, shape in taken.items()}
    try:
        with torch.no_grad(), torch.device('meta'):
            output = layer.eval()(_take(row, maps, many))
    except Exception as error:
        raise ValueError(f'row {number} ({row.block}) fails on {_listed(row, taken)}: {error}') from error
    if not isinstance(output, torch.Tensor) or output.dim() != 4 or len(output) != 1 or 0 in output.shape:
        shape = f'of shape {list(output.shape)}' if isinstance(output, torch.Tensor) else ''
        raise ValueError(
            f'row {number} ({row.block}) makes of {_listed(row, taken)} a {type(output).__name__} {shape}; expected '
            'one map [batch, channels, height, width]'
        )
    return MapShape(*output.shape[1:])


def _check_concat(number: int, row: LayerRow, taken: Mapping[int, MapShape]) -> None:
    sizes = {shape[1:] for shape in taken.values()}
    if len(sizes) > 1:
        raise ValueError(
            f'row {number} (Concat) joins maps of different sizes: {_listed(row, taken)}; expected one height and '
            "width. Check the row's sources, and that the picture's sides are multiples of the coarsest stride."
        )


def _listed(row: LayerRow, taken: Mapping[int, MapShape]) -> str:
    """The inputs of a row: 'row 11 (128 x 40 x 40) and row 6 (128 x 20 x 20)'."""
    names = ['the picture' if source == -1 else f'row {source}' for source in row.sources]
    return ' and '.join(f'{name} ({taken[source]})' for name, source in zip(names, row.sources, strict=True))
