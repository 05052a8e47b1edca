"""Outlines of shapes as points [N, 2] (x right, y down)."""

import numpy as np


def ellipse(
    center: tuple[float, float],
    radius_x: float,
    radius_y: float | None = None,
    start: float = 0.0,
    end: float = 2 * np.pi,
    count: int = 64,
) -> np.ndarray:
    """Points along an ellipse from angle ``start`` to ``end`` (radians)."""
    angles = np.linspace(start, end, count)
    radius_y = radius_x if radius_y is None else radius_y
    return np.stack([center[0] + radius_x * np.cos(angles), center[1] + radius_y * np.sin(angles)], axis=1)


def rectangle(left: float, top: float, right: float, bottom: float) -> np.ndarray:
    """The four corners of an upright rectangle."""
    return np.array([[left, top], [right, top], [right, bottom], [left, bottom]], dtype=np.float64)


def spokes(radii: np.ndarray, angles: np.ndarray) -> np.ndarray:
    """Points at polar coordinates around the origin."""
    return np.stack([radii * np.cos(angles), radii * np.sin(angles)], axis=1)


def stroke(points: np.ndarray, width: float) -> np.ndarray:
    """The outline of an open line drawn ``width`` wide, with square ends."""
    points = np.asarray(points, dtype=np.float64)
    steps = np.gradient(points, axis=0)
    steps /= np.linalg.norm(steps, axis=1, keepdims=True) + 1e-9
    normals = np.stack([-steps[:, 1], steps[:, 0]], axis=1) * (width / 2)
    return np.concatenate([points + normals, (points - normals)[::-1]])
