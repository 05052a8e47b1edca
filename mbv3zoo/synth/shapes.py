"""The classes of drawn objects. Only the shape tells the class; size, colour, texture and angle are random.

Each function draws one object as a list of :class:`Part` in its own units (about -1..1, y down), with random
proportions. `fill` and `hole` parts make the mask, in order; `dark` and `light` parts are drawn over the texture.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from mbv3zoo.synth.outlines import ellipse, rectangle, spokes, stroke


class Part(NamedTuple):
    """One polygon of an object: ``kind`` is fill, hole, dark or light; ``points`` [N, 2]."""

    kind: str
    points: np.ndarray


def _arrow(rng: np.random.Generator) -> list[Part]:
    shaft, head, neck = rng.uniform(0.14, 0.24), rng.uniform(0.55, 0.75), rng.uniform(-0.05, 0.2)
    half = np.array([[1.0, 0.0], [neck, head], [neck, shaft], [-1.0, shaft]])
    return [Part('fill', np.concatenate([half, half[::-1] * [1, -1]]))]


def _ball(rng: np.random.Generator) -> list[Part]:
    radius, offset = rng.uniform(0.16, 0.26), rng.uniform(0.3, 0.42)
    shadow = np.concatenate(
        [ellipse((0, 0), 1, start=-0.6, end=2.17), ellipse((-0.3, -0.3), 1.06, start=2.0, end=-0.43)]
    )
    return [
        Part('fill', ellipse((0, 0), 1)),
        Part('dark', shadow),
        Part('light', ellipse((-offset, -offset), radius * 1.3, radius)),
    ]


def _bolt(rng: np.random.Generator) -> list[Part]:
    lean, width = rng.uniform(-0.08, 0.08), rng.uniform(0.85, 1.2)
    points = [[-0.15, -1], [0.42, -1], [0.14, -0.28], [0.52, -0.28], [-0.3, 1], [-0.04, 0.1], [-0.5, 0.1]]
    outline = np.array(points) * [width, 1]
    return [Part('fill', outline + outline[:, 1:] * [lean, 0])]


def _crate(rng: np.random.Generator) -> list[Part]:
    height, frame, line = rng.uniform(0.82, 1.0), rng.uniform(0.16, 0.26), rng.uniform(0.07, 0.12)
    inner_x, inner_y = 1 - frame, height - frame
    corners = np.array([[-inner_x, -inner_y], [inner_x, -inner_y], [inner_x, inner_y], [-inner_x, inner_y]])
    parts = [Part('fill', rectangle(-1, -height, 1, height))]
    parts += [Part('dark', stroke(corners[[i, (i + 1) % 4]], line)) for i in range(4)]
    style = rng.integers(3)
    if style == 0:
        parts += [Part('dark', stroke(corners[pair], line)) for pair in ([0, 2], [1, 3])]
    elif style == 1:
        parts += [Part('dark', stroke(corners[[0, 2]], line))]
    else:
        rows = np.linspace(-inner_y, inner_y, 4)[1:-1]
        parts += [Part('dark', rectangle(-inner_x, y - line / 2, inner_x, y + line / 2)) for y in rows]
    return parts


def _crescent(rng: np.random.Generator) -> list[Part]:
    offset, inner = rng.uniform(0.38, 0.55), rng.uniform(0.78, 0.88)
    return [Part('fill', ellipse((0, 0), 1)), Part('hole', ellipse((offset, 0), inner))]


def _cross(rng: np.random.Generator) -> list[Part]:
    arm, reach = rng.uniform(0.24, 0.38), rng.uniform(0.88, 1.0)
    return [Part('fill', rectangle(-1, -arm, 1, arm)), Part('fill', rectangle(-arm, -reach, arm, reach))]


def _fish(rng: np.random.Generator) -> list[Part]:
    height, tail, fork = rng.uniform(0.36, 0.5), rng.uniform(0.35, 0.5), rng.uniform(0.62, 0.8)
    eye = (-0.58, -height * 0.25)
    return [
        Part('fill', ellipse((-0.25, 0), 0.75, height)),
        Part('fill', np.array([[0.25, 0], [1, -tail], [fork, 0], [1, tail]])),
        Part('fill', np.array([[-0.45, -height * 0.8], [0.1, -height * 1.5], [0.2, -height * 0.6]])),
        Part('light', ellipse(eye, 0.13)),
        Part('dark', ellipse(eye, 0.07)),
    ]


def _gear(rng: np.random.Generator) -> list[Part]:
    teeth, root, hole = rng.integers(7, 11), rng.uniform(0.68, 0.76), rng.uniform(0.22, 0.36)
    step = 2 * np.pi / teeth
    angles = (np.arange(teeth)[:, None] * step + np.array([-0.32, -0.2, 0.2, 0.32]) * step).ravel()
    outline = spokes(np.tile([root, 1, 1, root], teeth), angles)
    return [Part('fill', outline), Part('hole', ellipse((0, 0), hole))]


def _heart(rng: np.random.Generator) -> list[Part]:
    t, width = np.linspace(0, 2 * np.pi, 80), rng.uniform(0.9, 1.1)
    y = -(13 * np.cos(t) - 5 * np.cos(2 * t) - 2 * np.cos(3 * t) - np.cos(4 * t)) / 16
    return [Part('fill', np.stack([width * np.sin(t) ** 3, y], axis=1))]


def _key(rng: np.random.Generator) -> list[Part]:
    bow, shaft = rng.uniform(0.38, 0.48), rng.uniform(0.1, 0.14)
    parts = [
        Part('fill', ellipse((-1 + bow, 0), bow)),
        Part('hole', ellipse((-1 + bow, 0), bow * rng.uniform(0.45, 0.6))),
        Part('fill', rectangle(-1 + bow * 1.8, -shaft, 1, shaft)),
    ]
    for i in range(rng.integers(2, 4)):
        right = 1 - i * 0.27
        parts.append(Part('fill', rectangle(right - 0.16, 0, right, rng.uniform(0.3, 0.45))))
    return parts


def _leaf(rng: np.random.Generator) -> list[Part]:
    t, width, stem = np.linspace(0, 1, 40), rng.uniform(0.36, 0.52), rng.uniform(0.06, 0.09)
    x, y = -1 + 1.6 * t, width * np.sin(np.pi * t**0.85)
    half = np.stack([x, y], axis=1)
    parts = [
        Part('fill', np.concatenate([half, half[::-1] * [1, -1]])),
        Part('fill', rectangle(0.5, -stem, 1, stem)),
        Part('dark', rectangle(-0.85, -0.035, 0.6, 0.035)),
    ]
    for root in (-0.45, -0.1, 0.25):
        for side in (-1, 1):
            vein = np.array([[root, 0], [root - 0.22, side * width * 0.62]])
            parts.append(Part('dark', stroke(vein, 0.06)))
    return parts


def _mug(rng: np.random.Generator) -> list[Part]:
    height, taper = rng.uniform(0.75, 0.95), rng.uniform(0.85, 1.0)
    reach, grip = rng.uniform(0.42, 0.52), rng.uniform(0.46, 0.58)
    left, right = -1.0, 0.45
    middle, half = (left + right) / 2, (right - left) / 2
    base = ellipse((middle, height), half * taper, 0.12, start=0, end=np.pi)
    return [
        Part('fill', ellipse((right, 0.05), reach, grip)),
        Part('hole', ellipse((right, 0.05), reach * 0.55, grip * 0.58)),
        Part('fill', np.concatenate([[[left, -height], [right, -height]], base])),
        Part('fill', ellipse((middle, -height), half, 0.18)),
        Part('dark', ellipse((middle, -height), half * 0.86, 0.12)),
    ]


def _ring(rng: np.random.Generator) -> list[Part]:
    return [Part('fill', ellipse((0, 0), 1)), Part('hole', ellipse((0, 0), rng.uniform(0.5, 0.74)))]


def _star(rng: np.random.Generator) -> list[Part]:
    angles = np.arange(10) * np.pi / 5
    return [Part('fill', spokes(np.tile([1, rng.uniform(0.38, 0.5)], 5), angles))]


def _triangle(rng: np.random.Generator) -> list[Part]:
    return [Part('fill', np.array([[-1, 0.8], [1, 0.8], [rng.uniform(-0.35, 0.35), -rng.uniform(0.7, 1.1)]]))]


def _umbrella(rng: np.random.Generator) -> list[Part]:
    height, pole, hook = rng.uniform(0.8, 1.0), rng.uniform(0.09, 0.13), rng.uniform(0.16, 0.22)
    top = 0.1
    parts = [Part('fill', ellipse((0, top), 1, height, start=np.pi, end=2 * np.pi))]
    parts += [Part('hole', ellipse((x, top + 0.03), 0.25, 0.15)) for x in (-0.75, -0.25, 0.25, 0.75)]
    line = np.concatenate([[[0, -0.1], [0, 0.3]], ellipse((hook, 0.8), hook, start=np.pi, end=0, count=16)])
    parts.append(Part('fill', stroke(line, pole)))
    for x in (-0.5, 0.5):
        t = np.linspace(0, np.pi / 2, 12)
        rib = np.stack([x * np.sin(t), top - height * np.cos(t)], axis=1)
        parts.append(Part('dark', stroke(rib, 0.06)))
    return parts


_DRAWERS: dict[str, Callable[[np.random.Generator], list[Part]]] = {
    'arrow': _arrow,
    'ball': _ball,
    'bolt': _bolt,
    'crate': _crate,
    'crescent': _crescent,
    'cross': _cross,
    'fish': _fish,
    'gear': _gear,
    'heart': _heart,
    'key': _key,
    'leaf': _leaf,
    'mug': _mug,
    'ring': _ring,
    'star': _star,
    'triangle': _triangle,
    'umbrella': _umbrella,
}

CLASS_NAMES: tuple[str, ...] = tuple(_DRAWERS)


def draw_shape(rng: np.random.Generator, label: int) -> list[Part]:
    """The parts of one object of class ``CLASS_NAMES[label]``."""
    return _DRAWERS[CLASS_NAMES[label]](rng)
