"""What an exported file takes, also one that another program exported: read from the graph, filled with noise."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mbv3zoo.runtimes.export_info import ExportInfo
from mbv3zoo.runtimes.session import Session

# Of a graph that takes any and does not say which is its own.
USUAL_SIZE = (640, 640)
_CHANNELS = (1, 3, 4)
_ONNX_TYPES = {
    'tensor(float)': np.float32,
    'tensor(float16)': np.float16,
    'tensor(double)': np.float64,
    'tensor(uint8)': np.uint8,
    'tensor(int8)': np.int8,
}


class GraphInput(NamedTuple):
    """The one input of a graph.

    Attributes:
        shape: [B, C, H, W] or [B, H, W, C]; None where any number goes.
        dtype: Its type.
    """

    shape: tuple[int | None, ...]
    dtype: np.dtype

    @property
    def sides(self) -> tuple[int, int]:
        """Where height and width stand."""
        last = self.shape[3] in _CHANNELS and self.shape[1] not in _CHANNELS
        return (1, 2) if last else (2, 3)

    def fill(self, size: tuple[int, int] | None, batch: int, usual: tuple[int, int] = USUAL_SIZE) -> tuple[int, ...]:
        """The shape of a call.

        Args:
            size: (height, width) that is asked for; None takes the graph's own.
            batch: Pictures that are asked for.
            usual: (height, width) of a graph that takes any, where none is asked for.

        Raises:
            ValueError: The graph takes another size or batch only.
        """
        own = tuple(self.shape[side] for side in self.sides)
        if size and any(fixed not in (None, asked) for fixed, asked in zip(own, size, strict=True)):
            raise ValueError(f'it takes pictures of {own[0]} x {own[1]} only, given {size[0]} x {size[1]}')
        if self.shape[0] not in (None, batch):
            raise ValueError(f'it takes batches of {self.shape[0]} only, given {batch}')
        filled = [batch, *(length or 3 for length in self.shape[1:])]
        for side, fixed, asked in zip(self.sides, own, size or usual, strict=True):
            filled[side] = fixed or asked
        return tuple(filled)


def read_input(session: Session, path: Path, info: ExportInfo | None) -> GraphInput:
    """What a file takes.

    Args:
        session: It, open in a runtime.
        path: Its name, for messages.
        info: What it says about itself; None where another program exported it.

    Raises:
        ValueError: It has several inputs, or none of pictures; or neither graph nor record tell.
    """
    inputs: Sequence[Any] = ()
    if session.runtime == 'onnxruntime':
        inputs = [_onnx_input(port) for port in session.session.get_inputs()]
    elif session.runtime == 'openvino':
        inputs = [_openvino_input(port) for port in session.request.get_compiled_model().inputs]
    elif info is not None:
        height, width = (None, None) if info.dynamic else info.image_size
        batch = None if info.dynamic else info.batch_size
        return GraphInput((batch, info.in_chans, height, width), np.dtype(info.input_dtype))
    elif session.runtime == 'torchscript':
        # It does not say; so do all detectors that are known.
        return GraphInput((None, 3, None, None), np.dtype(np.float32))
    if len(inputs) != 1 or len(inputs[0].shape) != 4 or inputs[0].dtype is None:
        found = '; '.join(f'{port.dtype} {list(port.shape)}' for port in inputs) or 'nothing that can be read'
        raise ValueError(f'{path}: its input is {found}; expected one of pictures, [B, C, H, W] of numbers')
    return inputs[0]


def noise(shape: tuple[int, ...], dtype: Any, largest: int = 255) -> np.ndarray:
    """Random pixels from 0 to 255, as many as the type holds; of floats up to `largest`."""
    dtype, generator = np.dtype(dtype), np.random.default_rng(0)
    if dtype.kind == 'f':
        return (generator.random(shape, np.float32) * largest).astype(dtype)
    return generator.integers(0, min(255, np.iinfo(dtype).max), shape, dtype, endpoint=True)


def _onnx_input(port: Any) -> GraphInput:
    shape = tuple(length if isinstance(length, int) and length > 0 else None for length in port.shape)
    dtype = _ONNX_TYPES.get(port.type)
    return GraphInput(shape, dtype and np.dtype(dtype))


def _openvino_input(port: Any) -> GraphInput:
    if port.partial_shape.rank.is_dynamic:
        return GraphInput((), None)
    shape = tuple(length.get_length() if length.is_static else None for length in port.partial_shape)
    return GraphInput(shape, np.dtype(port.element_type.to_dtype()))
