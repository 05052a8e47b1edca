"""Times whole networks in a runtime, each at its own input size and in turns with the one that is fitted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import numpy as np

from mbv3zoo.benchmark.measure import figures, interleave
from mbv3zoo.benchmark.waiting import find_clock
from mbv3zoo.export.live import live_info, write_live
from mbv3zoo.export.quantize import quantize
from mbv3zoo.models.base_network import ModelNetwork
from mbv3zoo.runtimes.export_info import ExportInfo
from mbv3zoo.runtimes.session import open_session
from mbv3zoo.utils.disk import temporary_folder

_ROUNDS, _SECONDS, _WARM_UP, _FIRST_TIMINGS = 15, 0.1, 5, 3


class Timing(NamedTuple):
    """What a network takes, measured in turns with the first.

    Attributes:
        ms: Milliseconds per call, median over the turns.
        first_ms: The same of the first network, in the same turns.
        relative: Median of the ratio within a turn.
        spread: 90th less 10th percentile of the turns, divided by the median.
    """

    ms: float
    first_ms: float
    relative: float
    spread: float


class GraphTimer:
    """Times networks against a first one.

    Args:
        first: The network that others are compared with.
        runtime, threads: As for `mbv3zoo.runtimes.session.open_session`.
        pixels: For int8 gives the images to calibrate an exported network on, as for
            `mbv3zoo.export.quantize.quantize`; None for float32.

    Attributes:
        first: The network that others are compared with.
        ms: Milliseconds of the first network, median of a few timings.
    """

    def __init__(
        self,
        first: ModelNetwork,
        runtime: str,
        threads: int | None,
        pixels: Callable[[ExportInfo], Sequence[np.ndarray]] | None = None,
    ) -> None:
        self.runtime, self.threads, self.pixels = runtime, threads, pixels
        self.first, self._first = first, self._open(first)
        self.ms = median(self._time([self._first])[0]['ms'] for _ in range(_FIRST_TIMINGS))

    def time(self, network: ModelNetwork) -> Timing:
        """Times a network: it is exported, opened, and run in turns with the first."""
        first, own = self._time([self._first, self._open(network)])
        return Timing(own['ms'], first['ms'], own['relative'], (own['ms_high'] - own['ms_low']) / own['ms'])

    def _time(self, calls: Sequence[Callable[[], Any]]) -> list[dict[str, float]]:
        for call in calls:
            for _ in range(_WARM_UP):
                call()
        blocks = interleave(calls, _ROUNDS, _SECONDS, waited=find_clock())
        return [figures(own, blocks[0], 1) for own in blocks]

    def _open(self, network: ModelNetwork) -> Callable[[], Any]:
        info = live_info(network, self.runtime, network.config.image_size)
        with temporary_folder() as folder:
            path = write_live(network, info, self.runtime, Path(folder))
            if self.pixels is not None:
                quantize(path, info, self.pixels(info))
            session = open_session(path, self.runtime, threads=self.threads)
        images = np.random.default_rng(0).integers(0, 256, (1, info.in_chans, *info.image_size))
        images = images.astype(info.input_dtype)
        return lambda: session(images)
