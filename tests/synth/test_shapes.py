"""The claim to hold: a class is told by its shape, at any angle, with its proportions varied."""

import numpy as np
import pytest

from mbv3zoo.synth.shapes import CLASS_NAMES, draw_shape
from mbv3zoo.synth.sprites import DrawnObjects


def signature(alpha: np.ndarray) -> np.ndarray:
    """Distances to the centroid, and angular harmonics: the same at any rotation and mirror image."""
    y, x = np.nonzero(alpha > 0.5)
    x, y = x - x.mean(), y - y.mean()
    radius = np.hypot(x, y)
    radius /= np.sqrt(np.mean(radius**2))
    histogram = np.histogram(radius, bins=12, range=(0, 2.4))[0] / len(radius)
    angle = np.arctan2(y, x)
    harmonics = [abs(np.mean(radius**2 * np.exp(1j * k * angle))) for k in range(1, 11)]
    return np.concatenate([histogram, harmonics])


def test_sixteen_sorted_class_names():
    assert len(CLASS_NAMES) == 16
    assert list(CLASS_NAMES) == sorted(set(CLASS_NAMES))


@pytest.mark.parametrize('label', range(len(CLASS_NAMES)), ids=CLASS_NAMES)
def test_parts_are_finite_polygons_that_vary(label):
    drawn = [draw_shape(np.random.default_rng(seed), label) for seed in range(5)]
    for parts in drawn:
        assert parts[0].kind == 'fill'
        for part in parts:
            assert part.kind in ('fill', 'hole', 'dark', 'light')
            assert part.points.ndim == 2 and len(part.points) >= 3 and np.isfinite(part.points).all()
    if CLASS_NAMES[label] != 'ball':
        first, *others = [np.concatenate([p.points for p in parts if p.kind in ('fill', 'hole')]) for parts in drawn]
        assert any(first.shape != other.shape or not np.allclose(first, other) for other in others)


def test_classes_are_told_apart_by_their_mask_alone():
    objects, rng = DrawnObjects(), np.random.default_rng(0)
    labels = np.repeat(np.arange(16), 24)
    features = np.array([signature(objects.sprite(rng, label, 64).alpha) for label in labels])
    features /= features.std(axis=0)
    distance = np.linalg.norm(features[:, None] - features[None], axis=2)
    np.fill_diagonal(distance, np.inf)
    right = labels[distance.argmin(axis=1)] == labels
    assert right.mean() > 0.85
    for label in range(16):
        assert right[labels == label].mean() > 0.5, CLASS_NAMES[label]
