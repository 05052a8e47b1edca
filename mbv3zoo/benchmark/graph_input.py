"""What an exported file takes, also one that another program exported, and noise to run it on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import DTypeLike

from mbv3zoo.runtimes.export_info import ExportInfo
from mbv3zoo.runtimes.graph_input import GraphInput
from mbv3zoo.runtimes.session import Session


def read_input(session: Session, path: Path, info: ExportInfo | None) -> GraphInput:
    """What a file takes.

    Args:
        session: The file, open in a runtime.
        path: Name used in error messages.
        info: The file's record; None where another program exported it.

    Raises:
        ValueError: It has several inputs, or none of images; or neither graph nor record say what they are.
    """
    inputs = session.inputs
    if inputs is None and info is not None:
        height, width = (None, None) if info.dynamic else info.image_size
        return GraphInput(
            (None if info.dynamic else info.batch_size, info.in_chans, height, width), np.dtype(info.input_dtype)
        )
    if inputs is None and session.runtime == 'torchscript':
        # TorchScript does not say; all known detectors take these.
        return GraphInput((None, 3, None, None), np.dtype(np.float32))
    inputs = inputs or ()
    if len(inputs) != 1 or len(inputs[0].shape) != 4 or inputs[0].dtype == object:
        found = '; '.join(f'{port.dtype} {list(port.shape)}' for port in inputs) or 'nothing that can be read'
        raise ValueError(f'{path}: its input is {found}; expected one of pictures, [B, C, H, W] of numbers')
    return inputs[0]


def noise(shape: tuple[int, ...], dtype: DTypeLike, largest: int = 255) -> np.ndarray:
    """Random pixels: integers in 0..255, as far as their type reaches, or floats in 0..`largest`."""
    dtype, generator = np.dtype(dtype), np.random.default_rng(0)
    if dtype.kind == 'f':
        return (generator.random(shape, np.float32) * largest).astype(dtype)
    return generator.integers(0, min(255, np.iinfo(dtype).max), shape, dtype, endpoint=True)
