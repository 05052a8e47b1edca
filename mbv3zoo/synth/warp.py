"""Resampling of images and masks, and the distortion of a camera."""

import numpy as np


def pixel_grid(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Row and column of each pixel, float32 [height, width] each."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    return y, x


def sample(picture: np.ndarray, y: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Bilinear sampling of an image.

    Args:
        picture: [height, width] or [height, width, channels]; border pixels are repeated outside.
        y: rows to sample at, [h, w], in pixels; 0 is the centre of the first row.
        x: columns to sample at, [h, w].

    Returns:
        float32 [h, w] or [h, w, channels].
    """
    height, width = picture.shape[:2]
    y, x = np.clip(y, 0, height - 1), np.clip(x, 0, width - 1)
    top, left = np.minimum(y.astype(int), height - 2), np.minimum(x.astype(int), width - 2)
    down, right = (y - top).astype(np.float32), (x - left).astype(np.float32)
    if picture.ndim == 3:
        down, right = down[..., None], right[..., None]
    flat, place = picture.reshape(height * width, *picture.shape[2:]), top * width + left
    upper = flat.take(place, axis=0) * (1 - right) + flat.take(place + 1, axis=0) * right
    lower = flat.take(place + width, axis=0) * (1 - right) + flat.take(place + width + 1, axis=0) * right
    return (upper * (1 - down) + lower * down).astype(np.float32)


def bent_view(height: int, width: int, tilt: tuple[float, float], bulge: float) -> tuple[np.ndarray, np.ndarray]:
    """The rows and columns at which a tilted camera with radial lens distortion sees a flat scene.

    Args:
        height: of the image, in pixels.
        width: of the image, in pixels.
        tilt: perspective across and down; at 0.1 one side appears about 1.2 times as large as the other.
        bulge: radial distortion; above 0 barrel, below 0 pincushion.

    Returns:
        Rows and columns, float32 [height, width] each, for :func:`sample`. All are inside the image; the view is
        narrowed as needed. Without tilt and bulge they are the pixel coordinates.
    """
    y, x = pixel_grid(height, width)
    # The centres of the outermost pixels are at -1 and 1.
    v, u = y * (2 / (height - 1)) - 1, x * (2 / (width - 1)) - 1
    share = (1 + bulge * (u * u + v * v)) / (1 + tilt[0] * u + tilt[1] * v)
    v, u = v * share, u * share
    v, u = v / max(abs(v).max(), 1), u / max(abs(u).max(), 1)
    return (v + 1) * ((height - 1) / 2), (u + 1) * ((width - 1) / 2)
