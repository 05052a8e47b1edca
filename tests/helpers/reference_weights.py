"""Weights that follow from a tensor's name: the same in any environment, so none of them need be stored.

Frozen cases were computed elsewhere with these very values. They rest on PCG64's raw 64-bit numbers, whose stream
numpy keeps from version to version, and on arithmetic that is exact in float64.
"""

import math
import zlib

import numpy as np

NORM_LAYERS = ('bn', 'norm')


def reference_value(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """The values of one parameter or buffer, float32, in ranges that keep a network's activations sane.

    - Weights of convolutions and linear layers: uniform in +-sqrt(3 / fan-in), so their variance is 1 / fan-in.
      Those of the last ones are 10 times as large: activations shrink on their way, and logits should differ.
    - Batch norms (layers named 'bn' or 'norm'): weight and running_var 0.5..1.5, bias and running_mean +-0.2.
    - Other biases: +-0.5.
    - num_batches_tracked: 0.

    Args:
        name: The tensor's name in the state dict, such as 'model.0.conv.weight'.
        shape: Its shape.

    Raises:
        ValueError: If the name ends in none of the above.
    """
    *path, kind = name.split('.')
    shape = tuple(shape)
    if kind == 'num_batches_tracked':
        return np.zeros(shape, np.float32)
    if kind == 'running_var' or (kind == 'weight' and len(shape) == 1):
        low, high = 0.5, 1.5
    elif kind == 'weight':
        high = math.sqrt(3 / math.prod(shape[1:]))
        if path[-2:-1] == ['m']:  # Detect's convolutions, 'model.24.m.0.weight'
            high *= 10
        low = -high
    elif kind == 'running_mean' or (kind == 'bias' and path[-1:] and path[-1] in NORM_LAYERS):
        low, high = -0.2, 0.2
    elif kind == 'bias':
        low, high = -0.5, 0.5
    else:
        raise ValueError(f'no reference values for a tensor named {name!r}')
    return (low + (high - low) * _uniform(name, shape)).astype(np.float32)


def reference_picture(height: int, width: int) -> np.ndarray:
    """A picture of noise that follows from nothing but its size: float32 [3, height, width] in 0..1."""
    return _uniform('picture', (3, height, width)).astype(np.float32)


def _uniform(name: str, shape: tuple[int, ...]) -> np.ndarray:
    raw = np.random.PCG64(zlib.crc32(name.encode())).random_raw(math.prod(shape))
    return ((np.asarray(raw, np.uint64) >> np.uint64(11)).astype(np.float64) * 2.0**-53).reshape(shape)
