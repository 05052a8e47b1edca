"""Pictures and masks read at other places: how a lens bends a scene, the same for all that is in it."""

import numpy as np


def pixel_grid(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Row and column of each pixel, float32 [height, width] each."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    return y, x


def sample(picture: np.ndarray, y: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Read a picture between its pixels, bilinearly.

    Args:
        picture: [height, width] or [height, width, channels]; the pixels at its border go on outside it.
        y: rows to read at, [h, w], in pixels; 0 is the centre of the first row.
        x: columns to read at, [h, w].

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
    """The rows and columns at which a tilted camera with a bulging lens sees a flat scene.

    Args:
        height: of the picture, in pixels.
        width: of the picture, in pixels.
        tilt: perspective across and down; at 0.1 one side is seen about 1.2 times as large as the other.
        bulge: radial distortion; above 0 straight lines bow outwards (a barrel), below 0 inwards (a cushion).

    Returns:
        Rows and columns, float32 [height, width] each, for :func:`sample`. All lie inside the picture, so that
        nothing has to be made up at its border: the view is as much narrower as that takes. Without tilt and
        bulge they are the places of the pixels.
    """
    y, x = pixel_grid(height, width)
    # The centres of the outermost pixels are at -1 and 1.
    v, u = y * (2 / (height - 1)) - 1, x * (2 / (width - 1)) - 1
    share = (1 + bulge * (u * u + v * v)) / (1 + tilt[0] * u + tilt[1] * v)
    v, u = v * share, u * share
    v, u = v / max(abs(v).max(), 1), u / max(abs(u).max(), 1)
    return (v + 1) * ((height - 1) / 2), (u + 1) * ((width - 1) / 2)
