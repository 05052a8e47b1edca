"""What units cost on this machine: measured in small graphs at a few widths, and kept for the next time."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path

import numpy as np
import onnx

from mbv3zoo.fitting.kept_times import KeptTimes
from mbv3zoo.fitting.surface import fit_surface
from mbv3zoo.fitting.unit_graph import has_reader, output_size, reader_graph, unit_graph
from mbv3zoo.fitting.units import Unit
from mbv3zoo.runtimes.session import open_session
from mbv3zoo.utils.disk import temporary_folder
from mbv3zoo.widths.records import Channels

_NONE = Channels(0, ())
# Shares of a layer's width that are measured.
_SHARES = (1 / 8, 1 / 3, 2 / 3)
# Convolutions that tell the step of the kernels, their channels, and what counts as as much.
_PROBES = tuple(
    Unit('convolution', size, (kernel, kernel, 1, 1, kernel // 2, kernel // 2), ('relu',), _NONE, _NONE)
    for size, kernel in (((40, 40), 1), ((20, 20), 1), ((20, 20), 3))
)
_WIDTHS, _AS_MUCH = (32, 64, 96), 0.95
# Copies in the two graphs whose difference is the time of a unit, without what every call costs.
_FEW, _MANY = 2, 8
# Turns of a graph, seconds and calls of a turn, and the percentile of its calls: what disturbs only makes them slower.
_TURNS, _SECONDS, _CALLS, _PERCENTILE = 2, 0.008, 3, 20


class LatencyTable:
    """The time of units, in multiples of a yardstick: a network's time as a share of another's needs no more.

    Times are measured when they are first asked for, by the difference of two graphs with 2 and with 8 copies of the
    unit. As in NetAdapt (https://arxiv.org/abs/1804.03230, section 3.3) layers are measured one by one; a network's
    time is their sum, and `mbv3zoo.fitting.shrink` corrects it by whole graphs.

    Args:
        runtime: 'onnxruntime' or 'openvino'.
        threads: Threads per call; None leaves the number to the runtime.
        quantized: Whether units are of 8-bit integers.
        kept: Where measured times are kept.

    Attributes:
        step: Channels that the runtime's kernels compute at once.
    """

    def __init__(self, runtime: str, threads: int | None, quantized: bool, kept: KeptTimes) -> None:
        self.runtime, self.threads, self.quantized, self.kept = runtime, threads, quantized, kept
        yardstick = unit_graph(_PROBES[0], _WIDTHS[-1], _WIDTHS[-1], _MANY, quantized)
        self._yardstick = self._open(yardstick)
        # A machine's speed changes from second to second: times are divided by that of the yardstick just before.
        self._speed = 0.0
        self.step = self._find_step()
        self._surface = cache(self._find_surface)

    def time(self, unit: Unit, widths: tuple[int, int], full: tuple[int, int]) -> float:
        """The time of a unit.

        Args:
            unit: The unit.
            widths: Its channels (in, out).
            full: Those that it has in the unchanged network.
        """
        return self._surface(unit, full)(*widths)

    def fill(self, units: Iterable[tuple[Unit, tuple[int, int]]], progress: Callable[[], object]) -> None:
        """Measures what is missing of units and their full widths, and keeps it; `progress` is called for each unit."""
        for unit, full in units:
            self._surface(unit, full)
            progress()
        self.kept.write()

    def _find_surface(self, unit: Unit, full: tuple[int, int]) -> Callable[[int, int], float]:
        inputs, outputs = map(self._grid, full)
        points = [*itertools.product(inputs, outputs if unit.kind == 'convolution' else [0])]
        self._speed = 0.0
        return fit_surface({point: self._measured(unit, *point) for point in points}, self.step)

    def _grid(self, full: int) -> list[int]:
        steps = {max(1, round(full * share / self.step)) * self.step for share in _SHARES}
        return [*sorted(width for width in {*steps, self.step} if width < full), full]

    def _measured(self, unit: Unit, inputs: int, outputs: int) -> float:
        key = f'{unit.kind} {unit.size} {unit.settings} {unit.after} {inputs} {outputs}'
        if key not in self.kept.times:
            found = self._per_copy(lambda copies: unit_graph(unit, inputs, outputs, copies, self.quantized))
            if has_reader(unit):
                found -= self._reader(outputs or inputs, output_size(unit))
            self.kept.times[key] = max(found, 0.0)
        return self.kept.times[key]

    def _reader(self, channels: int, size: tuple[int, int]) -> float:
        key = f'reader {channels} {size}'
        if key not in self.kept.times:
            self.kept.times[key] = self._per_copy(lambda copies: reader_graph(channels, size, copies, self.quantized))
        return self.kept.times[key]

    def _per_copy(self, make: Callable[[int], onnx.ModelProto]) -> float:
        """The time of a copy, in yardsticks."""
        if not self._speed:
            self._speed = _seconds([self._yardstick])[0]
        few, many = _seconds([self._open(make(copies)) for copies in (_FEW, _MANY)])
        return (many - few) / (_MANY - _FEW) / self._speed

    def _open(self, model: onnx.ModelProto) -> Callable[[], object]:
        with temporary_folder() as folder:
            path = Path(folder) / 'unit.onnx'
            onnx.save(model, path)
            session = open_session(path, self.runtime, threads=self.threads)
        shape = [axis.dim_value for axis in model.graph.input[0].type.tensor_type.shape.dim]
        images = np.random.default_rng(0).random(shape, np.float32)
        return lambda: session(images)

    def _find_step(self) -> int:
        """Channels that kernels compute at once: 16 where 8 channels more cost as much as 16 more, else 8."""
        key = 'step'
        if key not in self.kept.times:
            more = {8: 0.0, 16: 0.0}
            for unit, width in itertools.product(_PROBES, _WIDTHS):
                if (least := self._measured(unit, width, width)) > 0:
                    for step in more:
                        more[step] += self._measured(unit, width, width + step) / least
            self.kept.times[key] = 16 if more[8] > _AS_MUCH * more[16] else 8
        return int(self.kept.times[key])


def _seconds(calls: list[Callable[[], object]]) -> list[float]:
    """Seconds of each of several calls, in turns."""
    times: list[list[float]] = [[] for _ in calls]
    for _ in range(_TURNS):
        for call, own in zip(calls, times, strict=True):
            # It does not count: threads of another session may be spinning still.
            call()
            end, most = time.perf_counter() + _SECONDS, len(own) + _CALLS
            while len(own) < most or time.perf_counter() < end:
                start = time.perf_counter()
                call()
                own.append(time.perf_counter() - start)
    return [float(np.percentile(own, _PERCENTILE)) for own in times]
