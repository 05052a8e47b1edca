"""Logits of a segmenter -> the class of every pixel of the original image, in NumPy."""

from __future__ import annotations

import numpy as np

from mbv3zoo.images.letterbox import Letterbox

# Logits that are interpolated at once, 16 MB: whatever the image's size is, a strip of it fits in the cache or near it.
_MOST_LOGITS = 2**22


def label_map(logits: np.ndarray, letterbox: Letterbox) -> np.ndarray:
    """The class with the highest logit at every pixel of the original image.

    The logits are interpolated once, bilinearly, straight from their map to the original's pixels, as
    `torch.nn.functional.interpolate` does with `align_corners=False`; some rows at a time.

    Args:
        logits: float [K, h, w] of the letterbox, K up to 255.
        letterbox: Where the image lies in it.

    Returns:
        uint8 [H, W]; of equal logits the earlier class.
    """
    classes, rows, columns = logits.shape
    (height, width), (top, left) = letterbox.original, (letterbox.pad_top, letterbox.pad_left)
    inside_height, inside_width = letterbox.resized
    down = inside_height / height * rows / letterbox.target[0], top * rows / letterbox.target[0]
    across = inside_width / width * columns / letterbox.target[1], left * columns / letterbox.target[1]
    # Classes last, so that both interpolations are products of matrices, and the classes of a pixel lie together.
    cells = logits.transpose(1, 2, 0).astype(np.float32)
    to_columns = _weights(np.arange(width), *across, columns)
    labels = np.empty((height, width), np.uint8)
    step = max(1, _MOST_LOGITS // max(width * classes, rows))
    for start in range(0, height, step):
        to_rows = _weights(np.arange(start, min(start + step, height)), *down, rows)
        needed = np.flatnonzero(to_rows.any(0))
        part = slice(needed[0], needed[-1] + 1)
        wide = (to_columns @ cells[part]).reshape(-1, width * classes)
        strip = (to_rows[:, part] @ wide).reshape(-1, width, classes)
        labels[start : start + step] = strip.argmax(2)
    return labels


def _weights(pixels: np.ndarray, scale: float, offset: float, cells: int) -> np.ndarray:
    """float32 [pixels, cells]: what each cell of a map contributes to each pixel, whose centre may lie in two."""
    places = ((pixels + 0.5) * scale + offset - 0.5).clip(0, cells - 1)
    return np.maximum(0, 1 - np.abs(places[:, None] - np.arange(cells))).astype(np.float32)
