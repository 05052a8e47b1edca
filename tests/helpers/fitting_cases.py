"""Small networks that can be made narrower, times by widths, records of fits."""

from types import SimpleNamespace

import numpy as np
from torch import nn

from mbv3zoo.config.fit_record import FitRecord


class Chain(nn.Module):
    """Four pointwise convolutions, a to d, with norms between them."""

    def __init__(self):
        super().__init__()
        self.a, self.b, self.c, self.d = (nn.Conv2d(*sides, 1) for sides in ((3, 64), (64, 96), (96, 32), (32, 4)))
        self.norms = nn.ModuleList(map(nn.BatchNorm2d, (64, 96, 32)))

    def forward(self, images):
        x = images
        for layer, norm in zip((self.a, self.b, self.c), self.norms, strict=True):
            x = norm(layer(x)).relu()
        return self.d(x)


STEP = 4


class FakeTimeModel:
    """A chain of layers a, b, c: the time of each is its inputs times its outputs, in whole steps."""

    full = {'a': 16, 'b': 32, 'c': 16}
    table = SimpleNamespace(step=STEP)
    layers = (('', 'a'), ('a', 'b'), ('b', 'c'), ('c', ''))

    def __init__(self, size=1):
        self.size = size
        self.neighbours = {name: {n for layer in self._of(name) for n in layer if n} for name in self.full}

    def _of(self, name):
        return [layer for layer in self.layers if name in layer]

    def _time(self, layer, widths):
        first, second = (-(-widths.get(name, 4) * self.size // STEP) for name in layer)
        return first * second if first and second else 0

    def total(self, widths):
        return sum(self._time(layer, widths) for layer in self.layers)

    def part(self, names, widths):
        layers = {layer for name in names for layer in self._of(name)}
        return sum(self._time(layer, widths) for layer in layers)


MODEL = FakeTimeModel()
GROUPS = {name: SimpleNamespace(name=name, size=1, units=units, block='') for name, units in MODEL.full.items()}
LEAST = dict.fromkeys(MODEL.full, 2)


def draw(seed, scale=None):
    numbers = np.random.default_rng(seed)
    return {name: numbers.exponential((scale or {}).get(name, 1), units) for name, units in MODEL.full.items()}


# b and c are of one residual block, which can be left out.
BLOCK = {**GROUPS, **{name: SimpleNamespace(**vars(GROUPS[name]) | {'block': 'block'}) for name in 'bc'}}


def fit_record(ms, after, narrowed=0.3, before=0.6):
    return FitRecord(
        image_size=320, budget_ms=ms, measured_ms=ms, predicted_ms=ms, before_ms=20.0, spread=0.01,
        runtime='openvino 2026.1', machine='a processor', threads=2, precision='float32', measure='AP',
        quality_before=before, quality_narrowed=narrowed, quality_after=after,
    )  # fmt: skip
