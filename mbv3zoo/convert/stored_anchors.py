"""The anchors of a YOLOv5 checkpoint, which its layer list and its last layer hold, not always the same."""

from __future__ import annotations

import logging
from typing import Any

import torch

from mbv3zoo.convert.inert_pickle import Record
from mbv3zoo.convert.module_tree import as_mapping
from mbv3zoo.convert.torch_file import TorchFile, is_tensor

_logger = logging.getLogger(__name__)


def stored_anchors(
    file: TorchFile, detect: Record, listed: Any, strides: tuple[int, ...]
) -> list[list[tuple[float, float]]]:
    """The anchors that a checkpoint was trained with, [levels][A] (width, height) in pixels.

    Args:
        file: The file.
        detect: Its last layer, which stores them in cells, [levels, A, 2], in the order of its strides.
        listed: The anchors of its layer list. They are returned, in their order of levels or in reverse, where those of
            the layer are equal up to rounding to float16.
        strides: Stride of each level, in input pixels per cell.

    Raises:
        ValueError: They have another shape, are not positive, or the layer decodes with others.
    """
    stored = file.tensor(as_mapping(detect.attributes['_buffers'])['anchors'])
    if stored.ndim != 3 or stored.shape[0] != len(strides) or stored.shape[1] < 1 or stored.shape[2] != 2:
        raise ValueError(
            f'the anchors are of shape {tuple(stored.shape)}; expected ({len(strides)}, anchors per cell, 2)'
        )
    stored = stored.double()
    if not (stored.isfinite() & (stored > 0)).all():
        raise ValueError(
            'it has an anchor without a positive, finite width and height, as an untrained model has whose layer list '
            'gives the number of anchors only; give a trained checkpoint'
        )
    stride = torch.tensor(strides, dtype=torch.float64)[:, None, None]
    _check_anchor_grid(file, detect, stored * stride)
    written = _written_anchors(listed, stored.shape)
    # YOLOv5 reverses a list that has the coarsest stride first, and stores what it trains with.
    for given in () if written is None else (written, written.flip(0)):
        exact = given / stride
        same = (stored - exact).abs() <= 1e-6 * exact
        if (same | (stored == exact.float().half().double())).all():
            return _pairs(given)
        if torch.allclose(stored, given, rtol=1e-3):
            _logger.warning(
                'its Detect holds the anchors of its layer list, which are in pixels, where YOLOv5 holds them in '
                'cells: as YOLOv5 does, they are taken times the strides'
            )
    return _pairs(stored * stride)


def _check_anchor_grid(file: TorchFile, detect: Record, anchors: torch.Tensor) -> None:
    """Up to YOLOv5 5.0 boxes are decoded with a buffer of its own, in pixels."""
    record = as_mapping(detect.attributes['_buffers']).get('anchor_grid')
    if not isinstance(record, Record) or not is_tensor(record):
        return
    grid = file.tensor(record).double()
    if grid.numel() != anchors.numel() or not torch.allclose(grid.reshape(anchors.shape), anchors, rtol=0.01):
        raise ValueError('its anchors are not those of its anchor_grid, with which it decodes boxes')


def _written_anchors(rows: Any, shape: torch.Size) -> torch.Tensor | None:
    """The layer list's anchors, [levels, A, 2] pixels; None if it only gives their number."""
    if not isinstance(rows, list) or not all(isinstance(row, list) for row in rows):
        return None
    numbers = [number for row in rows for number in row]
    if not all(type(number) in (int, float) for number in numbers) or len(numbers) != shape.numel():
        return None
    return torch.tensor(numbers, dtype=torch.float64).reshape(shape)


def _pairs(anchors: torch.Tensor) -> list[list[tuple[float, float]]]:
    return [[(width, height) for width, height in level] for level in anchors.tolist()]
